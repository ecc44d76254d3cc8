// The JavaScript client, driven by hand: no socket, no timer, no clock.
import assert from "node:assert/strict";
import { test } from "node:test";
import { AudioSender, Earmark, EarmarkError, Machine, address, subprotocols } from "../../clients/js/earmark.js";
import { join, pause } from "../../clients/js/machine.js";
import { toInt16 } from "../../clients/js/audio.js";

const hello = (seq, epoch = "abc") => JSON.stringify({ type: "hello", epoch, seq, oldest: 1, sources: [], classifiers: [] });
const label = (seq) => JSON.stringify({ type: "label", seq });

function connected(options = {}) {
  const machine = new Machine({ random: () => 1, ...options });
  machine.connecting(0);
  machine.opened(10);
  return machine;
}

test("the first connection goes on from the newest event", () => {
  const machine = connected();
  machine.message(hello(1042), 20);
  assert.equal(machine.query.since, "abc:1042");
});

test("a resumed stream is asked for after the newest event that came, not after the newest there is", () => {
  const machine = connected();
  machine.message(hello(10), 20);
  machine.message(label(11), 30);
  machine.message(JSON.stringify({ type: "tick", seq: 99 }), 40);
  machine.closed(50);
  machine.connecting(60);
  machine.opened(70);
  machine.message(hello(99), 80);
  assert.equal(machine.behind, 88);
  machine.message(label(99), 90);
  assert.equal(machine.behind, 0);
  assert.equal(machine.query.since, "abc:99");
});

test("a gap moves the position past what will never come", () => {
  const machine = connected();
  machine.message(hello(10), 20);
  machine.message(JSON.stringify({ type: "gap", from: 11, to: 60, cause: "too_old" }), 30);
  assert.equal(machine.query.since, "abc:60");
});

test("when the numbering began anew, everything kept of it is taken and counted from its start", () => {
  const machine = connected({ since: "old:500" });
  machine.message(hello(7, "new"), 20);
  assert.equal(machine.query.since, "new:0");
  machine.message(label(3), 30);
  assert.equal(machine.query.since, "new:3");
});

test("ten seconds without a message are stale, and the connection is abandoned", () => {
  const machine = connected();
  machine.message(hello(1), 1000);
  assert.equal(machine.stale(10_999), false);
  assert.equal(machine.due(10_999), null);
  assert.equal(machine.stale(11_000), true);
  assert.equal(machine.due(11_000), "abandon");
});

test("pauses double up to fifteen seconds, and jitter takes away at most half", () => {
  assert.deepEqual([0, 1, 2, 3, 4, 5, 99].map((n) => pause(n, () => 1)), [500, 1000, 2000, 4000, 8000, 15000, 15000]);
  assert.equal(pause(1, () => 0), 500);
});

test("a connection that lasted begins the pauses anew, and one that did not goes on with them", () => {
  const machine = connected();
  machine.closed(20);
  machine.connecting(600);
  machine.opened(700);
  machine.closed(800);
  assert.equal(machine.retryAt, 800 + 1000);
  machine.connecting(1800);
  machine.opened(2000);
  machine.closed(7000);
  assert.equal(machine.retryAt, 7000 + 500);
});

test("a refusal for a wrong token is not tried again until the user says so", () => {
  const machine = new Machine();
  machine.connecting(0);
  machine.closed(5, { status: 401, error: "Invalid credentials" });
  assert.equal(machine.state, "refused");
  assert.equal(machine.due(1e9), null);
  machine.hurry(2e9);
  assert.equal(machine.due(2e9), "connect");
});

test("a daemon without a place is asked again after the time that it names", () => {
  const machine = new Machine({ random: () => 0 });
  machine.connecting(0);
  machine.closed(5, { status: 503, error: "full", retryAfter: 3 });
  assert.equal(machine.retryAt, 3005);
});

test("a position that the daemon refuses is given up, and a gap says so", () => {
  const machine = new Machine({ since: "abc:9" });
  machine.connecting(0);
  const gap = machine.closed(5, { status: 400, error: "since: 9 is in the future" });
  assert.deepEqual(gap, { type: "gap", from: 10, to: null, cause: "epoch" });
  assert.equal(machine.state, "waiting");
  assert.equal(machine.query.since, undefined);
});

test("a message that is no JSON object is no event", () => {
  const machine = connected();
  assert.deepEqual(["", "[", "null", "3"].map((text) => machine.message(text, 20)), [null, null, null, null]);
});

test("ticks are asked for beside the types of the filter, but not in the shape of the API", () => {
  assert.equal(connected({ filter: { types: ["label"] } }).query.types, "label,tick");
  assert.match(connected().query.types, /result.*config,tick/);
  assert.equal(connected({ filter: { shape: "api" } }).query.types, undefined);
});

test("names with commas stand between quotes", () => {
  assert.equal(join(["Male speech, man speaking", "Dog", 'say "hi"', '"x"']), '"Male speech, man speaking",Dog,say "hi","""x"""');
});

test("an address may be HOST:PORT or any URL, and keeps a proxy's path", () => {
  assert.equal(String(address("127.0.0.1:8765")), "http://127.0.0.1:8765/");
  assert.equal(String(address("wss://example.org/earmark?x=1")), "https://example.org/earmark/");
});

test("the token is a subprotocol in base64url and never in the URL", () => {
  assert.deepEqual(subprotocols("s3crét?"), ["earmark.v1", `earmark.token.${Buffer.from("s3crét?").toString("base64url")}`]);
  assert.deepEqual(subprotocols(""), ["earmark.v1"]);
});

class FakeSocket extends EventTarget {
  static made = [];
  constructor(url, protocols) {
    super();
    Object.assign(this, { url: new URL(url), protocols, readyState: 0, bufferedAmount: 0, sent: [] });
    FakeSocket.made.push(this);
  }
  open() {
    this.readyState = 1;
    this.dispatchEvent(new Event("open"));
  }
  say(text) {
    this.dispatchEvent(Object.assign(new Event("message"), { data: text }));
  }
  send(data) {
    this.sent.push(data);
  }
  close() {
    this.readyState = 3;
    this.dispatchEvent(new Event("close"));
  }
}

test("a subscription that breaks is made again with its position", async () => {
  FakeSocket.made = [];
  let now = 0;
  const states = [];
  const client = new Earmark("http://host/earmark", { token: "t", WebSocket: FakeSocket });
  const subscription = client.subscribe(
    { labels: ["stop", "go"] },
    { now: () => now, random: () => 1, onState: ({ state }) => states.push(state) },
  );
  const [first] = FakeSocket.made;
  assert.equal(`${first.url.protocol}//${first.url.host}${first.url.pathname}`, "ws://host/earmark/v1/events");
  assert.equal(first.url.searchParams.get("labels"), "stop,go");
  first.open();
  first.say(hello(4));
  first.say(label(5));
  first.close();
  await new Promise((resolve) => setImmediate(resolve));
  now = 500;
  subscription.check();
  assert.equal(FakeSocket.made[1].url.searchParams.get("since"), "abc:5");
  subscription.close();
  assert.deepEqual(states, ["connecting", "connected", "waiting", "connecting", "closed"]);
});

test("a token that no header can hold is refused, and the daemon is not taken for gone", async () => {
  const client = new Earmark("127.0.0.1:1", { token: "se\u201ccret", fetch: async () => assert.fail("it was asked") });
  await assert.rejects(client.classifiers(), { status: 401, message: /the token has a character/ });
});

test("a refused handshake tells what the daemon says over HTTP, because a browser does not", async () => {
  FakeSocket.made = [];
  const answer = { ok: false, status: 401, headers: new Headers(), json: async () => ({ error: "Invalid credentials" }) };
  const client = new Earmark("http://host", { WebSocket: FakeSocket, fetch: async () => answer });
  const refused = new Promise((resolve) => {
    const subscription = client.subscribe({}, { onState: (state) => state.state === "refused" && resolve({ state, subscription }) });
  });
  FakeSocket.made[0].close();
  const { state, subscription } = await refused;
  assert.equal(state.status, 401);
  assert.equal(state.error, "Invalid credentials");
  subscription.close();
});

test("without a WebSocket the client says what to pass", () => {
  const client = new Earmark("http://host", { WebSocket: null });
  assert.throws(() => client.socket("v1/events"), /pass a constructor/);
});

test("pages of the past follow each other by their cursor", async () => {
  const asked = [];
  const pages = { none: { events: [{ seq: 9 }], next: "older-9" }, "older-9": { events: [], next: "older-4" }, "older-4": { events: [{ seq: 2 }], next: null } };
  const fetch = async (url) => {
    asked.push(url.searchParams.get("from"));
    return { ok: true, json: async () => pages[url.searchParams.get("cursor") ?? "none"] };
  };
  const found = [];
  for await (const event of new Earmark("h:1", { fetch }).past({ from: new Date(0) })) found.push(event.seq);
  assert.deepEqual(found, [9, 2]);
  assert.deepEqual(asked, Array(3).fill("1970-01-01T00:00:00.000Z"));
});

test("a change is a PATCH with JSON and the token in its header", async () => {
  let seen;
  const fetch = async (url, options) => ((seen = { url: String(url), ...options }), { ok: true, json: async () => ({}) });
  await new Earmark("h:1", { token: "t", fetch }).patchClassifier("a b", { decide: { on: 0.5 } });
  assert.equal(seen.url, "http://h:1/v1/classifiers/a%20b");
  assert.equal(seen.method, "PATCH");
  assert.equal(seen.headers.authorization, "Bearer t");
  assert.deepEqual(JSON.parse(seen.body), { decide: { on: 0.5 } });
});

test("the sound of a label comes with the token in a header", async () => {
  let seen;
  const sound = new ArrayBuffer(4);
  const fetch = async (url, options) => ((seen = { url: String(url), ...options }), { ok: true, arrayBuffer: async () => sound });
  assert.equal(await new Earmark("h:1/earmark", { token: "t", fetch }).clip("abc-7"), sound);
  assert.equal(seen.url, "http://h:1/earmark/v1/clips/abc-7");
  assert.equal(seen.headers.authorization, "Bearer t");
});

test("a refusal is an error with the daemon's sentence", async () => {
  const fetch = async () => ({ ok: false, status: 400, headers: new Headers(), json: async () => ({ error: "decide.on: 3 is too much" }) });
  await assert.rejects(new Earmark("h:1", { fetch }).classifiers(), (error) => {
    return error instanceof EarmarkError && error.status === 400 && error.message === "decide.on: 3 is too much";
  });
});

test("live sound is dropped and counted when two seconds of it wait in the socket", () => {
  const socket = new FakeSocket("ws://h/", []);
  const sender = new AudioSender(socket, { rate: 1000 });
  assert.equal(sender.offer(new Int16Array(100)), false);
  socket.open();
  socket.bufferedAmount = 4000; // two seconds
  assert.equal(sender.offer(new Int16Array(100)), true);
  socket.bufferedAmount = 4001;
  assert.equal(sender.offer(new Int16Array(100)), false);
  assert.equal(sender.dropped, 0.1);
});

test("a recording waits while the daemon is behind", async () => {
  const socket = new FakeSocket("ws://h/", []);
  const sender = new AudioSender(socket, { rate: 1000 });
  socket.open();
  socket.bufferedAmount = 1500;
  let done = false;
  const sending = sender.send(new Int16Array(10)).then(() => (done = true));
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(done, false);
  socket.bufferedAmount = 0;
  await sending;
  assert.equal(socket.sent.length, 1);
});

test("float samples become 16-bit integers, and what is too loud is cut", () => {
  assert.deepEqual([...toInt16(Float32Array.of(0, 1, -1, 2, -2, 0.5))], [0, 32767, -32768, 32767, -32768, 16383]);
});
