// What a subscription knows and does next, without a socket, a timer or a clock: the caller passes times in (ms).

export const STALE_AFTER = 10_000; // ms without any message; the daemon sends a tick every five seconds
const FIRST_PAUSE = 500; // ms
const LONGEST_PAUSE = 15_000; // ms
const STEADY_AFTER = 5_000; // ms; a connection that lasted so long was a good one
const FATAL = new Set([400, 401, 403, 404]); // a retry would meet the same answer
const DEFAULT_TYPES = ["result", "label", "source", "loss", "config"];
const LISTS = ["sources", "classifiers", "types", "labels"];

/** Return names as one text: as in CSV, a name that holds a comma or a quote at its start stands between quotes. */
export function join(names) {
  const plain = (name) => name && !name.includes(",") && !name.startsWith('"') && name === name.trim();
  return names.map((name) => (plain(name) ? name : `"${name.replaceAll('"', '""')}"`)).join(",");
}

/** Return the query parameters of a filter, by name. */
export function query(filter) {
  const found = {};
  for (const [name, value] of Object.entries(filter)) {
    if (value === undefined || value === null) continue;
    found[name] = LISTS.includes(name) && Array.isArray(value) ? join(value) : String(value);
  }
  return found;
}

/** Return the pause in ms before attempt number `attempt` (0 is the first), with jitter so that clients spread. */
export function pause(attempt, random) {
  const longest = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** Math.min(attempt, 10));
  return longest * (0.5 + 0.5 * random());
}

/**
 * The state of one subscription. `state` is one of `connecting`, `connected`, `waiting` (for the next attempt),
 * `refused` (no attempt follows) and `closed`.
 */
export class Machine {
  constructor({ filter = {}, since = null, staleAfter = STALE_AFTER, random = Math.random, now = 0 } = {}) {
    this.filter = filter;
    this.position = parsePosition(since); // {epoch, seq}, after which a resumed stream goes on
    this.state = "connecting";
    this.since = now; // when the state began
    this.heard = null; // when the newest message came
    this.error = "";
    this.attempt = 0;
    this.retryAt = null;
    this._random = random;
    this._staleAfter = staleAfter;
    this._resumes = this.position !== null;
    this._caughtUp = null; // the number of the newest event when the connection began
  }

  /** The query of the next handshake. It asks for ticks, because a browser sees no pings. */
  get query() {
    const types = [...new Set([...(this.filter.types ?? DEFAULT_TYPES), "tick"])];
    const since = this.position ? { since: `${this.position.epoch}:${this.position.seq}` } : {};
    const shape = this.filter.shape === "api" ? {} : { types };
    return query({ ...this.filter, ...shape, ...since });
  }

  /** How many events this connection still has to replay; 0 when it is live. */
  get behind() {
    if (this.state !== "connected" || this._caughtUp === null) return 0;
    return Math.max(0, this._caughtUp - this.position.seq);
  }

  /** Whether the newest message is so old that what it told may not hold any more. */
  stale(now) {
    return this.state !== "connected" || (this.heard !== null && now - this.heard >= this._staleAfter);
  }

  connecting(now) {
    this._enter("connecting", now);
    this._resumes = this.position !== null;
    this.heard = now;
  }

  opened(now) {
    this._enter("connected", now);
    this.heard = now;
    this.error = "";
  }

  /** Take a message. Returns the event in it, or null where the text is no event. */
  message(text, now) {
    this.heard = now;
    let event;
    try {
      event = JSON.parse(text);
    } catch {
      return null;
    }
    if (event === null || typeof event !== "object") return null;
    if (event.type === "hello") this._hello(event);
    else if (event.type === "gap") this._advance(event.to);
    else if (typeof event.seq === "number" && event.type !== "tick" && event.type !== "subscribed") {
      this._advance(event.seq);
    } else if (event.type === "tick" && this._caughtUp !== null) this._caughtUp = null;
    return event;
  }

  /**
   * The connection ended. `refusal` is {status, error, retryAfter} where the daemon said why (retryAfter in seconds).
   * Returns a gap event where the position is of no use any more, else null.
   */
  closed(now, refusal = null) {
    if (this.state === "closed") return null;
    const lasted = this.state === "connected" && now - this.since >= STEADY_AFTER;
    this.attempt = lasted ? 0 : this.attempt;
    this.error = refusal?.error ?? "";
    let gap = null;
    if (refusal?.status === 400 && this.position && /^since\b/.test(refusal.error)) {
      gap = { type: "gap", from: this.position.seq + 1, to: null, cause: "epoch" };
      this.position = null;
    } else if (refusal && FATAL.has(refusal.status)) {
      this._enter("refused", now);
      return null;
    }
    this._enter("waiting", now);
    const wait = refusal?.retryAfter ? refusal.retryAfter * 1000 * (1 + 0.5 * this._random()) : null;
    this.retryAt = now + (wait ?? pause(this.attempt, this._random));
    this.attempt += 1;
    return gap;
  }

  /** Return what is due: `connect`, `abandon` (a connection that says nothing any more), or null. */
  due(now) {
    if (this.state === "waiting" && now >= this.retryAt) return "connect";
    const silent = this.heard !== null && now - this.heard >= this._staleAfter;
    return silent && (this.state === "connected" || this.state === "connecting") ? "abandon" : null;
  }

  /** Try again at once: the network is back, or the user has given a token. */
  hurry(now) {
    if (this.state !== "waiting" && this.state !== "refused") return;
    this._enter("waiting", now);
    this.attempt = 0;
    this.retryAt = now;
  }

  end(now) {
    this._enter("closed", now);
  }

  _hello(event) {
    const same = this.position?.epoch === event.epoch;
    if (!same) this.position = { epoch: event.epoch, seq: this._resumes ? 0 : event.seq };
    this._caughtUp = event.seq;
  }

  _advance(seq) {
    if (this.position && typeof seq === "number" && seq > this.position.seq) this.position.seq = seq;
    if (this._caughtUp !== null && this.position && this.position.seq >= this._caughtUp) this._caughtUp = null;
  }

  _enter(state, now) {
    if (this.state !== state) this.since = now;
    this.state = state;
  }
}

function parsePosition(since) {
  if (!since) return null;
  if (typeof since === "object") return { ...since };
  const at = since.lastIndexOf(":");
  return { epoch: since.slice(0, at), seq: Number(since.slice(at + 1)) };
}
