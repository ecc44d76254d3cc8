// What the page knows: pure state, made from the events one after the other. Times are ms since 1970, of the daemon.

import { held, moment } from "./moments.js";
import { Series } from "./series.js";

export const KEPT = 600_000; // ms of results, labels and levels that the page holds
const MOST_ROWS = 1000;
const CLOCK_SET = 60_000; // ms; no event that is live comes so late, and of those that wait, the last is in time
const MOST_POINTS = 30_000; // of a classifier and a source

export const keyOf = (classifier, source) => `${classifier}|${source}`;

export class Store {
  constructor() {
    this.version = ""; // of the daemon
    this.sources = new Map(); // name → {name, state, detail, device, rate, lag, lost: {cause: s}}
    this.classifiers = new Map(); // name → as hello tells it
    this.status = new Map(); // name → as GET /v1/classifiers tells it: thresholds and settings in force
    this.settings = new Map(); // source → as GET /v1/sources tells it
    this.results = new Map(); // key → Series of {at, start, end, scores, final, suppressed, unconfirmed}
    this.now = new Map(); // key → {top, suppressed, unconfirmed, at}
    this.levels = new Map(); // source → {db, peak, hold, holdAt, floor, gates, at}
    this.gates = new Map(); // key → Series of {at, value, open}
    this.spans = []; // labels, oldest first: {id, key, classifier, source, label, from, to, score, peak, event}
    this.losses = [];
    this.rows = []; // for the list, newest first: {kind: "label", span} or {kind: "gap", at, gap}
    this.active = new Map(); // id → span
    this.connection = { state: "connecting", since: 0, behind: 0, error: "", status: 0 };
    this.ahead = null; // ms by which this browser's clock is ahead of the daemon's
    this.gateway = false; // whether one serves the page
    this.known = false; // whether a hello came
    this.changes = 0; // rises with every event, for who draws only what changed
    this.spanChanges = 0;
  }

  /** Take an event; `now` is this browser's time. Returns what the event is about, or null where it is unknown here. */
  take(event, now) {
    const handler = HANDLERS[event.type];
    if (!handler) return null;
    this.changes++;
    handler(this, event, now);
    return event.type;
  }

  /** The daemon's time at this browser's time `now`. */
  time(now) {
    return now - (this.ahead ?? 0);
  }

  /** Forget the spans and losses that are older than what the page holds. */
  prune(now) {
    const oldest = this.time(now) - KEPT;
    const before = this.spans.length + this.losses.length;
    if (this.spans.length && this.spans[0].to !== null && this.spans[0].to < oldest) {
      this.spans = this.spans.filter((span) => span.to === null || span.to >= oldest);
    }
    this.losses = this.losses.filter((loss) => loss.to >= oldest);
    if (before !== this.spans.length + this.losses.length) this.spanChanges++;
  }

  series(key) {
    if (!this.results.has(key)) this.results.set(key, new Series(KEPT, MOST_POINTS));
    return this.results.get(key);
  }

  /** The pairs of classifier and source that there are, in the daemon's order. */
  pairs() {
    return [...this.classifiers.values()].flatMap((classifier) =>
      classifier.sources.map((source) => ({ classifier, source, key: keyOf(classifier.name, source) })),
    );
  }

  /** Put what happened before this page was opened in front; `past` is a Store of it. */
  prefill(past) {
    const known = new Map(this.spans.map((span) => [span.id, span]));
    for (const span of past.spans) {
      const newer = known.get(span.id);
      if (newer) Object.assign(newer, { from: span.from, score: span.score, event: span.event });
      else if (span.to === null) this.active.set(span.id, span);
    }
    this.spans = [...past.spans.filter(({ id }) => !known.has(id)), ...this.spans];
    this.losses = [...past.losses, ...this.losses];
    this.rows = [...this.rows, ...past.rows.filter(({ id }) => !known.has(id))].slice(0, MOST_ROWS);
    for (const [key, { points }] of past.results) {
      const newer = this.series(key).points;
      const first = newer[0]?.at ?? Infinity;
      newer.unshift(...points.filter(({ at }) => at < first));
    }
    this.spanChanges++;
  }

  addRow(row) {
    this.rows.unshift(row);
    if (this.rows.length > MOST_ROWS) this.rows.length = MOST_ROWS;
  }

  addSpan(span) {
    this.spans.push(span);
    this.spanChanges++;
    this.addRow({ kind: "label", id: span.id, span });
  }
}

const HANDLERS = {
  hello(store, event) {
    store.version = event.version;
    store.known = true;
    takeParts(store, event);
  },
  config(store, event) {
    takeParts(store, event);
  },
  source(store, event) {
    const known = store.sources.get(event.source) ?? { name: event.source, lost: {} };
    const device = event.device ?? known.device;
    store.sources.set(event.source, { ...known, state: event.state, detail: event.detail ?? "", device });
  },
  result(store, event) {
    const key = keyOf(event.classifier, event.source);
    const at = moment(event);
    const top = event.result ?? [];
    const scores = Object.fromEntries(top.map(({ label, score }) => [label, score]));
    const suppressed = event.suppressed ?? "";
    store.series(key).push({ at, start: event.start, end: event.end, scores, final: !!event.final, suppressed, unconfirmed: event.unconfirmed });
    store.now.set(key, { top, suppressed, unconfirmed: event.unconfirmed, at, final: !!event.final });
    const source = store.sources.get(event.source);
    if (source && event.lag !== undefined) source.lag = event.lag;
  },
  label(store, event) {
    const to = event.end === undefined ? null : moment(event);
    const known = store.active.get(event.id);
    if (event.state === "off") {
      store.active.delete(event.id);
      if (known) Object.assign(known, { to, peak: event.peak, reason: event.reason, off: event });
      else store.addSpan(spanOf(event, to)); // its `on` came before this page
      store.spanChanges++;
      return;
    }
    if (known || store.spans.some((span) => span.id === event.id)) return;
    const span = spanOf(event, to);
    if (to === null) store.active.set(event.id, span);
    store.addSpan(span);
  },
  loss(store, event) {
    const source = store.sources.get(event.source);
    const length = Math.max(0, event.end - event.start);
    if (source) source.lost[event.cause] = (source.lost[event.cause] ?? 0) + length;
    const to = moment(event);
    store.losses.push({ source: event.source, classifier: event.classifier, from: to - length * 1000, to, cause: event.cause });
    store.spanChanges++;
  },
  gap(store, event, now) {
    store.addRow({ kind: "gap", id: `gap-${event.from}`, at: store.time(now), gap: event });
    for (const span of store.active.values()) Object.assign(span, { to: store.time(now), reason: "unknown" });
    store.active.clear(); // their `off` may be among what is missing
    store.spanChanges++;
  },
  level(store, event, now) {
    live(store, event, now);
    const at = Date.parse(event.time);
    const known = store.levels.get(event.source);
    const level = { db: event.db, peak: event.peak_db, floor: event.floor_db, gates: event.gates ?? {}, at };
    store.levels.set(event.source, { ...level, ...held(known, event.peak_db, at) });
    for (const [classifier, gate] of Object.entries(level.gates)) {
      const key = keyOf(classifier, event.source);
      if (!store.gates.has(key)) store.gates.set(key, new Series(KEPT, MOST_POINTS));
      store.gates.get(key).push({ at, value: gate.value ?? 0, open: gate.open });
    }
  },
  tick: live,
};

function takeParts(store, event) {
  const lost = (name) => store.sources.get(name)?.lost ?? {};
  const source = (each) => ({ ...each, lost: lost(each.name), lag: store.sources.get(each.name)?.lag });
  store.sources = new Map(event.sources.map((each) => [each.name, source(each)]));
  const before = store.classifiers;
  store.classifiers = new Map(event.classifiers.map((each) => [each.name, each]));
  for (const { classifier, key } of store.pairs()) {
    const known = before.get(classifier.name)?.labels;
    if (known && known.join("|") !== classifier.labels.join("|")) [store.now, store.results].forEach((scores) => scores.delete(key));
  }
}

function spanOf(event, to) {
  const from = to === null ? moment(event, event.start_time) : to - (event.end - event.start) * 1000;
  const { id, classifier, source, label, score, peak, reason } = event;
  return { id, key: keyOf(classifier, source), classifier, source, label, from, to, score, peak, reason, event };
}

/** Learn by how much this browser's clock is ahead, from an event that is never late: the smallest difference. */
function live(store, event, now) {
  const ahead = now - Date.parse(event.time);
  const set = store.ahead !== null && ahead - store.ahead > CLOCK_SET; // one of the two clocks was
  store.ahead = store.ahead === null || set || ahead < store.ahead ? ahead : store.ahead + Math.min(5, (ahead - store.ahead) / 50);
}
