// The JavaScript client of Earmark, for browsers and Node.js 20 or newer. It needs no package.

import { Machine, query } from "./machine.js";
import { AudioSender } from "./audio.js";

export { AudioSender, Machine };

const CHECK_EVERY = 1_000; // ms between two looks at the state of a subscription

/** A request that the daemon refused: `status` is that of HTTP, the message is the daemon's sentence. */
export class EarmarkError extends Error {
  constructor(message, status, retryAfter = null) {
    super(message);
    this.name = "EarmarkError";
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** Return the address as a URL that ends in "/": HOST:PORT, http, https, ws and wss are taken. */
export function address(text) {
  const url = new URL(/^[a-z]+:\/\//i.test(text) ? text : `http://${text}`);
  url.protocol = url.protocol.replace("ws", "http");
  url.search = url.hash = "";
  if (!url.pathname.endsWith("/")) url.pathname += "/";
  return url;
}

const UNSENDABLE = /[\0\r\n]|[^\0-\xff]/; // in a header; what asks with one would seem not to reach the daemon

/** Return the subprotocols of a handshake. A browser cannot set headers, so the token is one of them. */
export function subprotocols(token) {
  if (!token) return ["earmark.v1"];
  const bytes = String.fromCharCode(...new TextEncoder().encode(token));
  const text = btoa(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  return ["earmark.v1", `earmark.token.${text}`];
}

/** One daemon. `WebSocket` and `fetch` are those of the platform unless others are given. */
export class Earmark {
  constructor(url = "127.0.0.1:8765", { token = "", WebSocket = globalThis.WebSocket, fetch = globalThis.fetch } = {}) {
    this.url = address(String(url));
    this.token = token;
    this._WebSocket = WebSocket;
    this._fetch = (...given) => fetch(...given);
  }

  /** Open a WebSocket at `path`. */
  socket(path, parameters = {}) {
    if (!this._WebSocket) {
      throw new EarmarkError("there is no WebSocket here: pass a constructor as `WebSocket` (Node.js before 22)", 0);
    }
    const url = this._at(path, parameters);
    url.protocol = url.protocol.replace("http", "ws");
    return new this._WebSocket(String(url), subprotocols(this.token));
  }

  /** Make a request and return its JSON. Throws EarmarkError with the daemon's sentence. */
  async request(method, path, options) {
    return (await this._answer(method, path, options)).json().catch(() => ({}));
  }

  async _answer(method, path, { parameters = {}, body, headers = {} } = {}) {
    if (UNSENDABLE.test(this.token)) throw new EarmarkError("the token has a character that no token has", 401);
    const shown = this.token ? { authorization: `Bearer ${this.token}` } : {};
    const url = this._at(path, parameters);
    const answer = await this._fetch(url, { method, body, headers: { accept: "application/json", ...shown, ...headers } });
    if (answer.ok) return answer;
    const content = await answer.json().catch(() => ({}));
    const sentence = Array.isArray(content.error) ? content.error.join("; ") : content.error;
    const wait = Number(answer.headers.get("retry-after")) || null;
    throw new EarmarkError(sentence ?? `the daemon answered with ${answer.status}`, answer.status, wait);
  }

  /** Follow the stream; see Subscription. Events come through `onEvent`, changes of the connection through `onState`. */
  subscribe(filter = {}, options = {}) {
    return new Subscription(this, filter, options);
  }

  /** Yield the events of the stream until the loop is left. */
  async *events(filter = {}, options = {}) {
    const waiting = [];
    let wake = () => {};
    const tell = (item) => (waiting.push(item), wake());
    const refused = (state) => state.state === "refused" && tell({ failed: new EarmarkError(state.error, state.status) });
    const subscription = this.subscribe(filter, { ...options, onEvent: (event) => tell({ event }), onState: refused });
    try {
      for (;;) {
        while (!waiting.length) await new Promise((resolve) => (wake = resolve));
        const { event, failed } = waiting.shift();
        if (failed) throw failed;
        yield event;
      }
    } finally {
      subscription.close();
    }
  }

  /** Return one page of what the daemon keeps: {epoch, oldest, events, next}. `next` is the `cursor` of the next page. */
  history(parameters = {}) {
    return this.request("GET", "v1/events", { parameters: query(moments(parameters)) });
  }

  /** Yield the kept events, newest first (with `since`: oldest first), page by page. */
  async *past(parameters = {}) {
    for (let cursor; cursor !== null; ) {
      const page = await this.history({ ...parameters, cursor });
      yield* page.events;
      cursor = page.next ?? null;
    }
  }

  /** Return the scores of a recording (Blob, ArrayBuffer or typed array), best first. */
  classify(model, clip, { topK } = {}) {
    const path = `models/${model.split("/").map(encodeURIComponent).join("/")}`;
    const parameters = topK ? { top_k: topK } : {};
    return this.request("POST", path, { parameters, body: clip, headers: { "content-type": "audio/*" } });
  }

  /** Return the sound that was kept of a label, by its id: an ArrayBuffer with FLAC. Needs a token with scope clips. */
  async clip(id) {
    const answer = await this._answer("GET", `v1/clips/${encodeURIComponent(id)}`, { headers: { accept: "audio/flac" } });
    return answer.arrayBuffer();
  }

  /** Send sound to a source of kind `network`; see AudioSender. */
  sendAudio(source, { rate, channels = 1, format = "s16le", ...options }) {
    return new AudioSender(this.socket("v1/audio", { source, rate, channels, format }), { rate, channels, format, ...options });
  }

  info() {
    return this.request("GET", "info");
  }

  sources() {
    return this.request("GET", "v1/sources");
  }

  classifiers() {
    return this.request("GET", "v1/classifiers");
  }

  /**
   * Change the decisions or the gate of a classifier, or labels that are given at run time: {decide: {...}, vad: {...},
   * labels: [...], background: [...], template}. Needs a token with scope admin.
   */
  patchClassifier(name, changes) {
    return this._patch(`v1/classifiers/${encodeURIComponent(name)}`, changes);
  }

  /** Change a source: {paused: true}. Needs a token with scope admin. */
  patchSource(name, changes) {
    return this._patch(`v1/sources/${encodeURIComponent(name)}`, changes);
  }

  _patch(path, changes) {
    return this.request("PATCH", path, { body: JSON.stringify(changes), headers: { "content-type": "application/json" } });
  }

  _at(path, parameters) {
    const url = new URL(path, this.url);
    for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
    return url;
  }
}

/**
 * A subscription that is made again when it breaks, and resumes where it broke.
 *
 * `onEvent(event)` gets everything, gaps included; `onState({state, since, error, status, behind})` gets each change of
 * the connection. `since` (`EPOCH:SEQ`) resumes an earlier one. close() ends it.
 */
export class Subscription {
  constructor(client, filter, { onEvent = () => {}, onState = () => {}, since = null, staleAfter, random, now = Date.now } = {}) {
    this._client = client;
    this._now = now;
    this._onEvent = onEvent;
    this._onState = onState;
    this.machine = new Machine({ filter, since, staleAfter, random, now: now() });
    this._socket = null;
    this._timer = setInterval(() => this.check(), CHECK_EVERY);
    this._connect();
  }

  /** Where a later subscription can go on: `EPOCH:SEQ`, or null before the first event. */
  get position() {
    const { position } = this.machine;
    return position && `${position.epoch}:${position.seq}`;
  }

  /** Replace the filter. It holds from the daemon's answer on, and for every later connection. */
  update(filter) {
    this.machine.filter = filter;
    if (this.machine.state !== "connected") return;
    const { since, ...asked } = this.machine.query;
    this._socket.send(JSON.stringify({ type: "subscribe", ...asked }));
  }

  /** Look whether something is due. A page calls it when it is shown again after the computer slept. */
  check() {
    const due = this.machine.due(this._now());
    if (due === "connect") this._connect();
    else if (due === "abandon") this._lost(this._socket, null);
  }

  /** Try again at once. */
  retry() {
    this.machine.hurry(this._now());
    this.check();
  }

  close() {
    clearInterval(this._timer);
    this.machine.end(this._now());
    this._drop();
    this._tell();
  }

  _connect() {
    this.machine.connecting(this._now());
    this._tell();
    const socket = (this._socket = this._client.socket("v1/events", this.machine.query));
    let opened = false;
    socket.addEventListener("open", () => {
      opened = true;
      if (socket !== this._socket) return;
      this.machine.opened(this._now());
      this._tell();
    });
    socket.addEventListener("message", ({ data }) => {
      if (socket !== this._socket) return;
      const behind = this.machine.behind;
      const event = this.machine.message(data, this._now());
      if (event) this._onEvent(event);
      if (behind !== this.machine.behind && !this.machine.behind) this._tell();
    });
    socket.addEventListener("error", () => {});
    socket.addEventListener("close", async () => {
      if (socket !== this._socket) return;
      this._lost(socket, opened ? null : await this._refusal());
    });
  }

  _lost(socket, refusal) {
    if (socket !== this._socket) return;
    this._drop();
    const gap = this.machine.closed(this._now(), refusal);
    if (gap) this._onEvent(gap);
    this._status = refusal?.status ?? 0;
    this._tell();
  }

  _drop() {
    const socket = this._socket;
    this._socket = null;
    socket?.close();
  }

  /** Ask over HTTP why the handshake failed: a browser does not tell. Returns null where nothing answers. */
  async _refusal() {
    try {
      await this._client.history({ ...this.machine.query, types: undefined, policy: undefined, shape: undefined, limit: 1 });
      return null;
    } catch (error) {
      if (!(error instanceof EarmarkError) || error.status === 426) return null;
      return { status: error.status, error: error.message, retryAfter: error.retryAfter };
    }
  }

  _tell() {
    const { state, since, error, behind } = this.machine;
    this._onState({ state, since, error, status: this._status ?? 0, behind });
  }
}

function moments(parameters) {
  const text = (value) => (value instanceof Date ? value.toISOString() : value);
  return Object.fromEntries(Object.entries(parameters).map(([name, value]) => [name, text(value)]));
}
