// The daemon's decisions, made again by the page over the scores that it holds: for previews, and for hits so far.
// The page sees the best scores of each window alone (`top_k`), so a score that is missing counts as 0.

import { of } from "./words.js";

/** Return the rules that hold for `status`, a classifier as GET /v1/classifiers tells it, with `changes` merged in. */
export function rulesOf(status, changes = {}) {
  const decide = { ...status.decide, ...changes.decide, labels: { ...status.decide.labels } };
  for (const [label, on] of Object.entries(changes.decide?.labels ?? {})) {
    if (on === null) delete decide.labels[label];
    else decide.labels[label] = on;
  }
  const distance = Math.max(0, decide.on - decide.off);
  const never = (label) => of(status.thresholds, label) === undefined; // ignored, of a background, or a value
  const on = (label) => (never(label) ? 2 : (of(decide.labels, label) ?? decide.on));
  const off = (label) => Math.max(0, on(label) - distance);
  return { mode: status.mode, window: status.window, hop: status.hop, decide, on, off };
}

/** Decide over `points` (see Store.results), oldest first. Returns {fired, hits, smoothed}; times are those of points. */
export function replay(points, rules) {
  return rules.mode === "utterance" ? utterances(points, rules) : sliding(points, rules);
}

function utterances(points, { decide, on }) {
  const fired = [];
  const last = Object.create(null);
  for (const point of points) {
    const [best, second] = ordered(point.scores);
    if (!best || best[1] < on(best[0]) || point.suppressed === "long") continue;
    if (point.suppressed?.startsWith("not confirmed")) continue; // a second look is not made again here
    if (best[1] - (second?.[1] ?? 0) < decide.margin) continue;
    if (point.start !== undefined && (point.start - (last[best[0]] ?? -Infinity)) * 1000 < decide.refractory_ms) continue;
    last[best[0]] = point.end;
    fired.push({ label: best[0], at: point.at, score: best[1] });
  }
  return { fired, hits: {}, smoothed: {} };
}

function sliding(points, { decide, on, off, window, hop }) {
  const fired = [];
  const active = new Map();
  let recent = [];
  let hits = Object.create(null);
  let smoothed = Object.create(null);
  let number = 0; // of the window since the sound began; the first ones are mostly the silence before
  const forget = () => ((recent = []), (hits = Object.create(null)), active.clear(), (number = 0));
  let before = null;
  for (const point of points) {
    if (before && point.at - before.at > 2000 * (hop + window)) forget();
    before = point;
    number++;
    if (window && Math.min(1, (number * hop) / window) < decide.min_sound) continue;
    recent = [...recent.slice(-(decide.smooth - 1) || recent.length), point.scores];
    if (recent.length > decide.smooth) recent = recent.slice(-decide.smooth);
    smoothed = mean(recent);
    const counted = Object.create(null);
    for (const [label, score] of Object.entries(smoothed)) if (score >= on(label)) counted[label] = (hits[label] ?? 0) + 1;
    hits = counted;
    for (const [label, since] of active) {
      if ((smoothed[label] ?? 0) < off(label) && point.at - since >= decide.min_on * 1000) active.delete(label);
    }
    rise(point);
    if (point.final) forget();
  }
  return { fired, hits, smoothed };

  function rise(point) {
    const refused = new Set(point.unconfirmed?.map(({ label }) => label)); // a second look is not made again here
    let ready = Object.keys(hits).filter((label) => hits[label] >= decide.hits && !active.has(label) && !refused.has(label));
    if (decide.exclusive && ready.length) {
      const best = ready.reduce((one, other) => (smoothed[other] > smoothed[one] ? other : one));
      for (const [rival, since] of active) {
        if (smoothed[best] <= (smoothed[rival] ?? 0) || point.at - since < decide.min_on * 1000) return;
      }
      active.clear();
      ready = [best];
    }
    for (const label of ready) {
      active.set(label, point.at);
      fired.push({ label, at: point.at, score: smoothed[label] });
    }
  }
}

/** How often and how long a gate with this threshold would have been open; `points` are those of Store.gates. */
export function replayGate(points, threshold, fall) {
  let open = false;
  let times = 0;
  let ms = 0;
  let before = null;
  for (const { at, value } of points) {
    if (open && before !== null) ms += Math.min(1000, at - before);
    before = at;
    if (!open && value >= threshold) {
      open = true;
      times++;
    } else if (open && value < threshold - fall) open = false;
  }
  return { times, seconds: ms / 1000 };
}

/** Whether another model has to confirm what fires, by `verify` of a classifier's status, which most have not. */
export const needsLook = (verify) => ({ label, score }) =>
  verify !== undefined && score < verify.sure && of(verify.labels, label)?.length !== 0;

/** Compare what fires by new rules with what fires by those in force; `doubtful` are those added that need a second look. */
export function compare(now, then, verify) {
  const name = ({ label, at }) => `${label}@${at}`;
  const near = (one, all) => all.some((other) => other.label === one.label && Math.abs(other.at - one.at) < 1500);
  const same = new Set(now.map(name));
  const added = then.filter((one) => !same.has(name(one)) && !near(one, now));
  const gone = now.filter((one) => !near(one, then));
  const doubtful = added.filter(needsLook(verify));
  return { times: then.length, added: added.length, gone: gone.length, doubtful: doubtful.length };
}

const ordered = (scores) => Object.entries(scores).sort((one, other) => other[1] - one[1]);

function mean(all) {
  const sum = Object.create(null);
  for (const scores of all) for (const label in scores) sum[label] = (sum[label] ?? 0) + scores[label];
  for (const label in sum) sum[label] /= all.length;
  return sum;
}
