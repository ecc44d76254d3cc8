// The page's connection: the JavaScript client itself, the token, and what is asked for over HTTP.

import { Earmark } from "./client/earmark.js";
import { KEPT, Store } from "./store.js";

const TYPES = ["result", "suppressed", "label", "source", "loss", "config", "level"];
const PAST = ["result", "suppressed", "label", "loss"];
const MOST_PAST = 5000; // events
const TOKEN = "earmark.token";

export class Stream {
  /** `changed()` is called when something other than an event changed. */
  constructor(store, changed, taken = () => {}) {
    this.store = store;
    this.changed = changed;
    this.taken = taken;
    this.client = new Earmark(new URL(".", location.href), { token: read(TOKEN) });
    this.received = null; // when the newest message came, of this browser's clock
  }

  start() {
    this.subscription = this.client.subscribe(
      { types: TYPES, top_k: 20 },
      { onEvent: (event) => this._event(event), onState: (state) => this._state(state) },
    );
    for (const event of ["online", "pageshow"]) addEventListener(event, () => this.subscription.retry());
    document.addEventListener("visibilitychange", () => document.hidden || this.subscription.check());
  }

  /** ms since the newest message. */
  silentFor(now) {
    return this.received === null ? 0 : now - this.received;
  }

  get stale() {
    return this.subscription.machine.stale(Date.now());
  }

  get behind() {
    return this.subscription.machine.behind;
  }

  /** Show `token` from now on, and keep it: in this tab, or on this device. */
  useToken(token, keep) {
    this.client.token = token;
    for (const storage of [sessionStorage, localStorage]) storage.removeItem(TOKEN);
    if (token) (keep ? localStorage : sessionStorage).setItem(TOKEN, token);
    this.subscription.retry();
    this.refresh();
  }

  /** Ask for the settings in force. A daemon that does not tell them leaves the page without thresholds. */
  async refresh() {
    const [classifiers, sources] = await Promise.allSettled([this.client.classifiers(), this.client.sources()]);
    this.store.gateway = !!classifiers.reason?.message.startsWith("this is a gateway");
    if (classifiers.status === "fulfilled") this.store.status = byName(classifiers.value);
    if (sources.status === "fulfilled") this.store.settings = byName(sources.value);
    this.store.changes++;
    this.changed();
  }

  /** Change a classifier; returns what the daemon answers. */
  async patch(name, changes) {
    const answer = await this.client.patchClassifier(name, changes);
    this.store.status.set(name, answer);
    this.store.changes++;
    this.changed();
    return answer;
  }

  async pause(source, paused) {
    const answer = await this.client.patchSource(source, { paused });
    this.store.settings.set(source, answer);
    this.changed();
  }

  /** Return what is kept of the time from `from` to `to`, oldest first; nothing before the event that `isFirst` finds. */
  past(from, to, types, most, isFirst) {
    return this._gather({ from: new Date(from), to: new Date(to), types }, most, isFirst);
  }

  async _gather(asked, most, isFirst = () => false) {
    const found = [];
    for await (const event of this.client.past({ ...asked, limit: 500 })) {
      found.push(event);
      if (found.length >= most || isFirst(event)) break;
    }
    return found.reverse();
  }

  _event(event) {
    this.received = Date.now();
    const kind = this.store.take(event, this.received);
    if (kind === "hello" || kind === "config") this.refresh();
    if (kind === "hello" && !this.prefilled) this._prefill(event.seq);
    if (kind) this.taken(kind, event);
  }

  /** Ask once for the last ten minutes, so that the page does not begin empty. */
  async _prefill(seq) {
    this.prefilled = true;
    // by the daemon's clock, which this browser does not know yet
    const asked = { from: `-${KEPT / 1000}s`, types: PAST };
    const events = await this._gather(asked, MOST_PAST).catch(() => []); // it keeps none, or tells none
    const past = new Store();
    for (const event of events) if (event.seq <= seq) past.take(event, 0);
    this.store.prefill(past);
    this.changed();
  }

  _state(state) {
    const before = this.store.connection.state;
    // while it is tried again and again, the page goes on saying since when the daemon is gone
    const since = state.state === "waiting" && before === "connecting" ? this.goneSince : state.since;
    if (state.state === "waiting") this.goneSince ??= state.since;
    if (state.state === "connected") this.goneSince = undefined;
    const told = state.state === "connecting" && this.goneSince ? { ...state, state: "waiting" } : state;
    this.store.connection = { ...told, since: this.goneSince ?? since };
    this.changed();
  }
}

const byName = (all) => new Map(all.map((each) => [each.name, each]));

function read(name) {
  return sessionStorage.getItem(name) ?? localStorage.getItem(name) ?? "";
}
