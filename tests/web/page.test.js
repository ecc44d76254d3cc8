// The pure state of the page: what it makes of events, without a browser.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { toCsv } from "../../clients/web/csv.js";
import { compare, replay, replayGate, rulesOf } from "../../clients/web/decide.js";
import { Series } from "../../clients/web/series.js";
import { KEPT, Store, keyOf } from "../../clients/web/store.js";
import { connection, gapSentence, listed, lookNote, plain, refusal, t, useStrings, verdict, whySentence } from "../../clients/web/words.js";

const STRINGS = JSON.parse(readFileSync(new URL("../../clients/web/strings.json", import.meta.url)));
useStrings(STRINGS);

const START = Date.parse("2026-11-22T07:31:00Z");
const iso = (s) => new Date(START + s * 1000).toISOString();
const HELLO = {
  type: "hello", version: "1", epoch: "abc", seq: 0, oldest: 1,
  sources: [{ name: "desk", state: "listening", device: "USB", rate: 16000 }],
  classifiers: [{ name: "emotion", labels: ["angry", "happy"], sources: ["desk"], gate: "speech", mode: "sliding", window: 1, hop: 1 }],
};
const on = (id, s, more = {}) => ({
  type: "label", seq: 1, time: iso(s), source: "desk", classifier: "emotion", id, label: "happy", state: "on", start: s - 1, score: 0.9,
  start_time: iso(s - 1), ...more,
});
const off = (id, s) => on(id, s, { state: "off", end: s, peak: 0.95, reason: "quiet", end_time: iso(s), start: 0 });
const result = (s, scores, more = {}) => ({
  type: "result", seq: 1, time: iso(s), source: "desk", classifier: "emotion", start: s - 1, end: s, end_time: iso(s),
  result: Object.entries(scores).map(([label, score]) => ({ label, score })), ...more,
});

function heard(...events) {
  const store = new Store();
  for (const event of [HELLO, ...events]) store.take(event, START);
  return store;
}

test("a label that is on is active until its off, and the two make one span", () => {
  const store = heard(on("a", 2));
  assert.equal(store.active.size, 1);
  store.take(off("a", 5), START);
  assert.equal(store.active.size, 0);
  assert.equal(store.spans.length, 1);
  assert.deepEqual([store.spans[0].from, store.spans[0].to], [START + 1000, START + 5000]);
  assert.equal(store.spans[0].peak, 0.95);
});

test("a command is over at once", () => {
  const store = heard(on("a", 2, { end: 2, end_time: iso(2), reason: "utterance" }));
  assert.equal(store.active.size, 0);
  assert.deepEqual([store.spans[0].from, store.spans[0].to], [START + 1000, START + 2000]);
});

test("an off whose on came before the page is a span that begins where the sound began", () => {
  assert.deepEqual(heard(off("a", 5)).spans.map(({ from, to }) => [from, to]), [[START, START + 5000]]);
});

test("the same label told twice is one span", () => {
  assert.equal(heard(on("a", 2), on("a", 2)).spans.length, 1);
});

test("a gap stands in the list and ends what was on, because its off may be missing", () => {
  const store = heard(on("a", 2), { type: "gap", from: 5, to: 9, cause: "too_old" });
  assert.deepEqual(store.rows.map((row) => row.kind), ["gap", "label"]);
  assert.equal(store.active.size, 0);
  assert.equal(store.spans[0].reason, "unknown");
});

test("what happened before the page was opened is put in front, and what is still on stays active", () => {
  const past = heard(on("a", 2), off("a", 5), on("b", 6), result(6, { happy: 0.9 }));
  const store = heard(on("c", 8), result(8, { happy: 0.2 }));
  store.prefill(past);
  assert.deepEqual(store.spans.map(({ id }) => id), ["a", "b", "c"]);
  assert.deepEqual(store.rows.map(({ id }) => id), ["c", "b", "a"]);
  assert.deepEqual([...store.active.keys()], ["c", "b"]);
  assert.equal(store.results.get(keyOf("emotion", "desk")).points.length, 2);
  store.take(off("b", 9), START);
  assert.equal(store.spans[1].to, START + 9000);
});

test("lost sound is summed by cause, and a new hello keeps the sums", () => {
  const loss = { type: "loss", seq: 2, time: iso(9), source: "desk", start: 1, end: 2.5, cause: "device", end_time: iso(9) };
  const store = heard(loss, loss);
  store.take(HELLO, START);
  assert.deepEqual(store.sources.get("desk").lost, { device: 3 });
  assert.deepEqual(store.losses[0], { source: "desk", classifier: undefined, from: START + 7500, to: START + 9000, cause: "device" });
});

test("scores of labels that a classifier has no more are forgotten, and others stay", () => {
  const store = heard(result(3, { happy: 0.9 }));
  store.take({ type: "config", seq: 2, time: iso(4), cause: "api", sources: HELLO.sources, classifiers: HELLO.classifiers }, START);
  assert.equal(store.now.size, 1);
  const classifiers = [{ ...HELLO.classifiers[0], labels: ["angry", "glad"] }];
  store.take({ type: "config", seq: 3, time: iso(5), cause: "api", sources: HELLO.sources, classifiers }, START);
  assert.equal(store.now.size, 0);
  assert.equal(store.series("emotion|desk").points.length, 0);
});

test("a recording that is read at speed is placed by the time of publication", () => {
  const store = heard(result(5, { happy: 1 }, { end_time: iso(-4000) }));
  assert.equal(store.now.get(keyOf("emotion", "desk")).at, START + 5000);
});

test("a type that the page does not know changes nothing", () => {
  const store = heard();
  assert.equal(store.take({ type: "novelty" }, START), null);
});

test("the clock of the daemon is learnt from what is never late", () => {
  const store = heard();
  store.take({ type: "tick", seq: 1, time: iso(0) }, START + 5000);
  store.take({ type: "tick", seq: 1, time: iso(5) }, START + 10_400);
  assert.ok(Math.abs(store.time(START + 20_000) - (START + 15_000)) < 50);
});

test("the peak of a level stands still and then falls", () => {
  const level = (s, peak) => ({ type: "level", source: "desk", time: iso(s), db: -50, peak_db: peak, floor_db: -60, gates: {} });
  const store = heard(level(0, -6), level(1, -40));
  assert.equal(store.levels.get("desk").hold, -6);
  store.take(level(2, -40), START);
  store.take(level(3, -40), START);
  assert.ok(store.levels.get("desk").hold < -15);
});

test("the page forgets what is older than ten minutes", () => {
  const store = heard(on("a", 2), off("a", 5));
  store.prune(START + KEPT + 4000);
  assert.equal(store.spans.length, 1);
  store.prune(START + KEPT + 6000);
  assert.equal(store.spans.length, 0);
});

test("after half an hour of 50 events a second the page holds ten minutes of them and no more", () => {
  const store = heard();
  for (let number = 0; number < 90_000; number++) {
    const s = number / 50;
    if (number % 50) store.take(result(s, { happy: 0.5 }), START + s * 1000);
    else store.take((number / 50) % 2 ? off(`id-${number - 50}`, s) : on(`id-${number}`, s), START + s * 1000);
    if (number % 500 === 0) store.prune(START + s * 1000);
  }
  assert.ok(store.series(keyOf("emotion", "desk")).points.length <= 600 * 49 + 65);
  assert.ok(store.spans.length <= 311);
  assert.equal(store.rows.length, 900);
  assert.ok(store.active.size <= 1);
});

test("a series keeps a bounded time and number of points, and finds those since a moment", () => {
  const series = new Series(1000, 500);
  for (let at = 0; at < 5000; at += 1) series.push({ at });
  assert.ok(series.points.length <= 565);
  assert.equal(series.last.at, 4999);
  assert.deepEqual(series.since(4997).map(({ at }) => at), [4997, 4998, 4999]);
});

const DECIDE = {
  on: 0.8, off: 0.4, margin: 0.1, longest: 0, smooth: 1, hits: 2, min_sound: 0, min_on: 0, max_on: 0, refractory_ms: 400, exclusive: true,
  ignore: ["_unknown_"], labels: {},
};
const status = (more = {}, decide = {}) => ({
  mode: "sliding", window: 1, hop: 1, thresholds: { angry: 0.8, happy: 0.8 }, decide: { ...DECIDE, ...decide }, vad: { threshold: 0.5 }, ...more,
});
const points = (...all) => all.map((scores, index) => ({ at: index * 1000, start: index, end: index + 0.5, scores, suppressed: "" }));
const names = ({ fired }) => fired.map(({ label, at }) => `${label}@${at}`);

test("a label that lasts fires after its hits and once only", () => {
  const played = points({ happy: 0.9 }, { happy: 0.9 }, { happy: 0.9 }, { happy: 0.1 }, { happy: 0.9 }, { happy: 0.9 });
  assert.deepEqual(names(replay(played, rulesOf(status()))), ["happy@1000", "happy@5000"]);
});

test("hits so far are counted, and begin anew below the threshold", () => {
  assert.deepEqual({ ...replay(points({ happy: 0.9 }), rulesOf(status())).hits }, { happy: 1 });
  assert.deepEqual({ ...replay(points({ happy: 0.9 }, { happy: 0.7 }), rulesOf(status())).hits }, {});
});

test("the mean over the last windows decides", () => {
  const played = points({ happy: 1 }, { happy: 0.2 }, { happy: 1 });
  assert.deepEqual({ ...replay(played, rulesOf(status({}, { smooth: 3 }))).smoothed }, { happy: 2.2 / 3 });
});

test("of an exclusive set a stronger label takes over", () => {
  const played = points({ happy: 0.9 }, { happy: 0.9 }, { angry: 0.95, happy: 0.85 }, { angry: 0.95, happy: 0.85 });
  assert.deepEqual(names(replay(played, rulesOf(status()))), ["happy@1000", "angry@3000"]);
});

test("a command fires over threshold and margin, and not again in its refractory time", () => {
  const utterance = status({ mode: "utterance", thresholds: { go: 0.8, no: 0.8 } });
  const played = [
    { at: 1, start: 0, end: 0.5, scores: { go: 0.9, no: 0.05 } },
    { at: 2, start: 0.8, end: 1.2, scores: { go: 0.9 } },
    { at: 3, start: 3, end: 3.5, scores: { go: 0.85, no: 0.8 } },
    { at: 4, start: 5, end: 5.5, scores: { _unknown_: 0.99 } },
    { at: 5, start: 7, end: 9, scores: { go: 0.9 }, suppressed: "long" },
  ];
  assert.deepEqual(names(replay(played, rulesOf(utterance))), ["go@1"]);
  assert.deepEqual(names(replay(played, rulesOf(utterance, { decide: { margin: 0.04, refractory_ms: 100 } }))), ["go@1", "go@2", "go@3"]);
});

test("a label's own threshold moves its off along", () => {
  const rules = rulesOf(status(), { decide: { labels: { happy: 0.6 } } });
  assert.equal(rules.on("happy"), 0.6);
  assert.ok(Math.abs(rules.off("happy") - 0.2) < 1e-9);
  assert.equal(rules.on("angry"), 0.8);
  assert.equal(rules.on("_unknown_"), 2);
});

test("a preview tells what is new and what is no more", () => {
  const one = (label, at) => ({ label, at });
  assert.deepEqual(compare([one("a", 1000), one("b", 9000)], [one("a", 1500), one("a", 5000)]), { times: 2, added: 1, gone: 1, doubtful: 0 });
});

test("a label that a second look has refused does not fire in a preview, whatever the threshold", () => {
  const refused = [{ label: "happy", model: "a/second", score: 0.2, threshold: 0.5 }];
  const played = points({ happy: 0.9 }, { happy: 0.9, angry: 0.85 }, { happy: 0.9 }, { happy: 0.9 });
  const [, second, third] = played;
  for (const point of [second, third]) point.unconfirmed = refused;
  assert.deepEqual(names(replay(played, rulesOf(status()))), ["happy@3000"]);
  assert.deepEqual(names(replay(played, rulesOf(status(), { decide: { on: 0.5, hits: 1 } }))), ["happy@0"]);
  second.scores = { happy: 0.9, angry: 0.85 };
  played[0].scores = { angry: 0.85 };
  assert.deepEqual(names(replay(played, rulesOf(status()))), ["angry@1000", "happy@3000"]); // the other comes in its place
});

test("a result tells the preview what was not confirmed", () => {
  const refused = [{ label: "happy", model: "a/second", score: 0.2, threshold: 0.5 }];
  const { points } = heard(result(3, { happy: 0.9 }, { unconfirmed: refused })).results.get(keyOf("emotion", "desk"));
  assert.deepEqual(points[0].unconfirmed, refused);
});

test("what is new in a preview counts as doubtful where another model would have to confirm it", () => {
  const verify = { model: "a/second", sure: 0.9, on: 0.5, labels: { sure: [], other: ["x"] } };
  const fired = [["other", 0.89], ["other", 0.9], ["sure", 0.5], ["free", 0.7]].map(([label, score], index) => ({ label, score, at: index * 5000 }));
  assert.equal(compare([], fired, verify).doubtful, 2);
  assert.equal(compare(fired, fired, verify).doubtful, 0);
  assert.equal(compare([], fired).doubtful, 0);
});

test("beside a preview stands that it makes no second look", () => {
  const note = lookNote({ model: "a/second\u202e", sure: 0.9, on: 0.5, labels: {} });
  assert.match(note, /^Below a score of 0\.90, a label needs a second look by a\/second\?\. .* may still be refused\.$/);
});

test("labels that never go on fire in no preview, though no setting of `decide` names them", () => {
  const clap = status({ thresholds: { happy: 0.8 }, label_set: { labels: ["happy"], background: ["silence"] } });
  assert.deepEqual(names(replay(points({ silence: 0.9 }, { silence: 0.9 }), rulesOf(clap, { decide: { on: 0.5 } }))), []);
});

test("a gate that is tried counts its openings and their length", () => {
  const gate = [0, 0.6, 0.6, 0.4, 0.3, 0.9].map((value, index) => ({ at: index * 100, value }));
  assert.deepEqual(replayGate(gate, 0.5, 0.15), { times: 2, seconds: 0.3 });
});

test("why a label did not go on is said in words", () => {
  const say = (now, more, hits = 0, active = undefined) => verdict({ suppressed: "", ...now }, status(more), hits, active);
  const top = (...scores) => ["happy", "angry"].slice(0, scores.length).map((label, index) => ({ label, score: scores[index] }));
  assert.equal(say({ top: top(0.76) }), "happy: 0.04 below its threshold");
  assert.equal(say({ top: top(0.86) }, {}, 1), "happy: hits 1 of 2");
  assert.equal(say({ top: top(0.86, 0.8), suppressed: "margin" }), "happy: 0.04 below the margin over angry");
  assert.equal(say({ top: top(0.9), suppressed: "refractory" }), "happy: refractory for 0.4 s after it fired");
  assert.match(say({ top: top(0.9), suppressed: "long" }), /^Too long/);
  assert.equal(say({ top: top(0.9) }, { mode: "utterance" }), "happy fired");
  assert.equal(say({ top: top(0.9) }, {}, 3, "happy"), "happy is on");
  assert.equal(verdict(undefined, null, 0), "Nothing heard yet.");
});

test("why a label went on is said in words", () => {
  const why = { raw: 0.81, smoothed: 0.77, threshold: 0.6, hits: 3, needed: 3, gate: "speech" };
  assert.equal(
    whySentence({ why }),
    "score 0.77 reached the threshold 0.60 · the newest window alone 0.81 · hits 3 of 3 · the speech gate was open",
  );
  const look = { model: "a/second", score: 0.83, threshold: 0.5 };
  assert.match(whySentence({ why: { ...why, second: look } }), / · confirmed by a\/second \(0\.83\) · /);
  assert.match(whySentence({ why: { ...why, member: { label: "Bark", score: 0.61 } } }), / · Bark spoke \(0\.61\) · /);
});

test("the truth about the connection is told", () => {
  const say = (state, silent = 0, stale = false) => connection({ since: START, behind: 0, error: "", ...state }, silent, stale);
  assert.deepEqual(say({ state: "connected" }), { tone: "ok", text: "Connected" });
  assert.equal(say({ state: "connected", behind: 3 }).text, "Catching up: 3 events behind");
  assert.equal(say({ state: "connected" }, 11_400, true).text, "Behind: nothing heard for 11 s");
  assert.match(say({ state: "waiting" }, 0, true).text, /^Gone since \d\d:\d\d/);
});

test("a gap is told with the number of events, in the singular where it is one", () => {
  assert.match(gapSentence({ from: 5, to: 5, cause: "slow" }), /^One event did/);
  assert.match(gapSentence({ from: 5, to: 7, cause: "too_old" }), /^3 events are missing/);
  assert.match(gapSentence({ from: 5, to: null, cause: "epoch" }), /numbering anew/);
});

test("CSV quotes what needs it, and disarms what a spreadsheet would compute", () => {
  const [span] = heard(on("a", 2), off("a", 5)).spans;
  const [head, line] = toCsv([{ ...span, label: '=1+"2",3' }]).split("\r\n");
  assert.match(head, /^time,source,classifier,label,score/);
  assert.ok(line.includes(`"'=1+""2"",3",0.9,0.95,2026-11-22T07:31:01.000Z,2026-11-22T07:31:05.000Z,4.00,quiet,a`));
});

test("every string that a module asks for exists", () => {
  const folder = new URL("../../clients/web/", import.meta.url);
  const files = ["", "parts/"].flatMap((at) => readdirSync(new URL(at || ".", folder)).filter((name) => name.endsWith(".js")).map((name) => at + name));
  const asked = files.flatMap((name) => {
    const text = readFileSync(new URL(name, folder), "utf8");
    return [...text.matchAll(/\bt\("([\w.]+)"/g)].map((found) => found[1]);
  });
  assert.ok(asked.length > 60);
  assert.deepEqual(asked.filter((key) => !(key in STRINGS) && !(`${key}.other` in STRINGS)), []);
  assert.equal(t("preview.added", { n: 2 }), "2 new");
});

test("a label may have the name of what every object has", () => {
  const status = { mode: "sliding", window: 1, hop: 1, decide: { on: 0.6, off: 0.4, hits: 1, smooth: 1, margin: 0, min_on: 0, min_sound: 0, labels: {}, ignore: [] } };
  const labels = ["constructor", "toString", "__proto__"];
  status.thresholds = Object.fromEntries(labels.map((label) => [label, 0.6]));
  const points = labels.map((label, index) => ({ at: index * 1000, scores: Object.fromEntries([[label, 0.9]]) }));
  assert.deepEqual(replay(points, rulesOf(status)).fired.map(({ label }) => label), ["constructor", "toString", "__proto__"]);
  status.thresholds = {};
  assert.deepEqual(replay(points, rulesOf(status)).fired, []);
  assert.match(verdict({ top: [{ label: "constructor", score: 0.9 }], suppressed: "" }, status, 0, false), /constructor/);
});

test("labels are typed one a line, or between commas where there is one line", () => {
  assert.deepEqual(listed(" a dog barking, rain ,, "), ["a dog barking", "rain"]);
  assert.deepEqual(listed("a dog, far away\n\n  rain\n"), ["a dog, far away", "rain"]);
  assert.deepEqual(listed("rain\n"), ["rain"]);
  assert.deepEqual(listed(" \n "), []);
});

test("a refusal is the daemon's sentence, behind what the page knows of its status", () => {
  assert.equal(refusal({ status: 400, message: "labels: a label is empty" }), "labels: a label is empty");
  assert.match(refusal({ status: 403, message: "no" }), /scope admin.* no$/);
});

test("a label does not turn the direction of what stands beside it", () => {
  assert.equal(plain("\u202eevil\u0007_one"), "?evil? one");
});

test("when a clock was set, the page goes by the new time at once", () => {
  const store = new Store();
  store.take({ type: "tick", seq: 1, time: iso(0) }, START);
  store.take({ type: "tick", seq: 1, time: iso(5) }, START + 3_605_000);
  assert.equal(store.time(START + 3_606_000), START + 6000);
});
