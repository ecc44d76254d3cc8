// The words of the page: one JSON of strings, and sentences made of them.

let strings = {};

export function useStrings(found) {
  strings = found;
}

/** Return the string at `key` with {names} filled in; with `n`, its plural form (`key.one`, `key.other`). */
export function t(key, values = {}) {
  const form = values.n === undefined ? key : `${key}.${values.n === 1 ? "one" : "other"}`;
  const text = strings[form] ?? strings[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

// what no font shows, and what turns the direction of all that follows
const UNSEEN = /[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** A text from elsewhere, without characters that change how others are shown. */
export const shown = (text) => text.replace(UNSEEN, "?");

/** A label as people read it. */
export const plain = (label) => shown(label).replaceAll("_", " ").trim();

/** What a table has for a label, whatever its name: every object has a `constructor`. */
export const of = (table, label) => (table && Object.hasOwn(table, label) ? table[label] : undefined);

export const has = (key) => key in strings;

/** Labels as they are typed: one a line, or between commas where all stand in one line. */
export const listed = (text) =>
  text.trim().split(/\n/.test(text.trim()) ? /\n/ : /,/).map((label) => label.trim()).filter(Boolean);

/** Why the daemon has refused a change. */
export const refusal = ({ status, message }) => (has(`refused.${status}`) ? `${t(`refused.${status}`)} ${message}` : message);

/** A score with two digits. */
export const score = (value) => (value === undefined || value === null ? "–" : value.toFixed(2));

/** Seconds with as many digits as one can use. */
export function seconds(value) {
  return t("seconds", { s: value < 10 ? value.toFixed(1) : String(Math.round(value)) });
}

// made once, because making one takes longer than using it a hundred times
const CLOCK = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const MINUTE = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

export const clock = (ms) => CLOCK.format(ms);
export const minute = (ms) => MINUTE.format(ms);

/** Why a label is on, from the `why` of its event. */
export function whySentence(event) {
  const { why } = event;
  if (!why) return t("why.none");
  const parts = [t("why.score", { score: score(why.smoothed), threshold: score(why.threshold) })];
  if (Math.abs(why.raw - why.smoothed) >= 0.005) parts.push(t("why.raw", { raw: score(why.raw) }));
  if (why.member) parts.push(t("why.member", { member: plain(why.member.label), score: score(why.member.score) }));
  if (why.second) parts.push(t("why.second", { model: plain(why.second.model), score: score(why.second.score) }));
  if (why.needed > 1) parts.push(t("why.hits", { hits: why.hits, needed: why.needed }));
  if (why.gate) parts.push(t(`why.gate.${why.gate}`));
  return parts.join(" · ");
}

/**
 * What stands between the newest result and a label, in words. `now` is {top, suppressed, unconfirmed, heard}: the scores
 * best first, why a label was suppressed, what a second look did not confirm, and how long ago the result came (ms);
 * `hits` is the count for its best label.
 */
export function verdict(now, status, hits, active) {
  if (!now || !now.top.length) return t("now.nothing");
  const [first, second] = now.top;
  const best = { ...first, name: plain(first.label) };
  const threshold = of(status?.thresholds, best.label);
  if (now.suppressed === "margin") {
    const short = (status?.decide.margin ?? 0) - (best.score - (second?.score ?? 0));
    return t("now.margin", { label: best.name, short: score(Math.max(0, short)), second: plain(second?.label ?? "") });
  }
  if (now.suppressed === "refractory") {
    return t("now.refractory", { label: best.name, s: ((status?.decide.refractory_ms ?? 0) / 1000).toFixed(1) });
  }
  const look = now.unconfirmed?.find((each) => each.label === best.label);
  if (look) return t("now.unconfirmed", { label: best.name, model: plain(look.model), score: score(look.score) });
  if (now.suppressed) return t(has(`now.${now.suppressed}`) ? `now.${now.suppressed}` : "now.suppressed", { label: best.name });
  if (threshold === undefined) return t(status ? "now.never" : "now.best", { label: best.name, score: score(best.score) });
  if (active) return t("now.on", { label: plain(active) });
  if (status.mode === "sliding" && now.final) return t("now.over", { label: best.name });
  if (best.score < threshold) return t("now.below", { label: best.name, short: score(threshold - best.score) });
  const needed = status.decide.hits;
  if (status.mode === "sliding" && hits < needed) return t("now.hits", { label: best.name, hits, needed });
  return status.mode === "utterance" ? t("now.fired", { label: best.name }) : t("now.smoothing", { label: best.name });
}

/** What a preview of thresholds cannot know, where another model has to confirm labels. */
export const lookNote = (verify) => t("preview.look", { sure: score(verify.sure), model: shown(verify.model) });

/** What the page knows of its connection, as {tone, text}. */
export function connection({ state, since, behind, error, status }, silentFor, stale) {
  if (state === "refused") return { tone: "bad", text: has(`connection.${status}`) ? t(`connection.${status}`) : t("connection.refused", { error }) };
  if (state === "waiting" || state === "closed") return { tone: "bad", text: t("connection.gone", { time: minute(since) }) };
  if (state === "connecting") return { tone: "warn", text: t("connection.connecting") };
  if (stale) return { tone: "warn", text: t("connection.silent", { s: Math.round(silentFor / 1000) }) };
  if (behind) return { tone: "warn", text: t("connection.behind", { n: behind }) };
  return { tone: "ok", text: t("connection.connected") };
}

/** What is lost or missing, as the sentence of a row. */
export function gapSentence(gap) {
  return gap.to === null || gap.to === undefined
    ? t("gap.unknown")
    : t(`gap.${gap.cause}`, { n: gap.events ?? gap.to - gap.from + 1 });
}
