// Thresholds moved while looking: a draft, what it would have done in the last ten minutes, and Apply.

import { html, nothing } from "../vendor/lit-html.js";
import { compare, replay, replayGate, rulesOf } from "../decide.js";
import { lookNote, of, refusal, score, seconds, t } from "../words.js";
import { chart } from "./chart.js";
import { ask } from "./token.js";

const GATE_FALL = 0.15; // a speech gate closes so far below the threshold at which it opens

/** What can be moved: its place in the settings, its range, and where it applies. */
const KNOBS = [
  { group: "decide", name: "on", min: 0.05, max: 1, step: 0.01 },
  { group: "decide", name: "off", min: 0, max: 1, step: 0.01, mode: "sliding", all: true },
  { group: "decide", name: "hits", min: 1, max: 10, step: 1, mode: "sliding", all: true },
  { group: "decide", name: "margin", min: 0, max: 0.5, step: 0.01, mode: "utterance", all: true },
  { group: "vad", name: "threshold", min: 0.05, max: 0.95, step: 0.01, gate: "speech", all: true },
  { group: "vad", name: "level_db", min: 1, max: 40, step: 0.5, gate: "level", all: true },
];

/** The sliders, below the bars on which they move the thresholds. */
export function knobs(page, { classifier }, status) {
  const { tuning } = page.view;
  const fits = (knob) => (!knob.mode || knob.mode === classifier.mode) && (!knob.gate || knob.gate === classifier.gate);
  const shown = KNOBS.filter((knob) => fits(knob) && !(knob.all && tuning.label));
  return html`
    <div class="tuner" role="group" aria-label=${t("tuner.title", { name: classifier.name })}>
      <label class="field knob"><span>${t("tuner.label")}</span>
        <select @change=${(event) => choose(page, event.target.value)}>
          <option value="" ?selected=${!tuning.label}>${t("tuner.all")}</option>
          ${Object.keys(status.thresholds).map((label) => html`<option ?selected=${tuning.label === label}>${label}</option>`)}
        </select>
      </label>
      ${shown.map((knob) => slider(page, status, knob))}
    </div>
  `;
}

/** What the thresholds would have done, and Apply. */
export function trial(page, pair, status) {
  const { tuning } = page.view;
  const { classifier } = pair;
  const changed = Object.keys(tuning.changes).length > 0;
  return html`
    <div class="tuner">
      ${chart(page, pair, status)}
      <p class="preview" role="status">${preview(page, pair, status)}</p>
      ${status.verify ? html`<p class="caution">${lookNote(status.verify)}</p>` : nothing}
      <div class="actions">
        <button class="primary" ?disabled=${!changed || tuning.busy} @click=${() => apply(page, classifier.name, status)}>${t("tuner.apply")}</button>
        <button class="quiet" ?disabled=${!changed} @click=${() => reset(page)}>${t("tuner.reset")}</button>
        ${tuning.undo ? html`<button class="quiet" @click=${() => undo(page, classifier.name)}>${t("tuner.undo")}</button>` : nothing}
        ${tuning.toml ? html`<button class="quiet" @click=${() => copy(page)}>${t(tuning.copied ? "copied" : "tuner.copy")}</button>` : nothing}
      </div>
      ${tuning.note ? html`<p class=${tuning.failed ? "error" : "done"} role="status">${tuning.note}</p>` : nothing}
      ${tuning.toml ? html`<pre class="toml" tabindex="0">${tuning.toml}</pre>` : nothing}
    </div>
  `;
}

function slider(page, status, knob) {
  const value = valueOf(page.view.tuning, status, knob);
  const shown = knob.step < 0.1 ? score(value) : String(value);
  const { label } = page.view.tuning;
  return html`
    <label class="field knob"><span>${t(`knob.${knob.name}`)}</span>
      <input type="range" data-knob=${knob.name} min=${knob.min} max=${knob.max} step=${knob.step} .value=${String(value)}
        aria-label=${t(`knob.${knob.name}`)} aria-valuetext=${shown} title=${t(`knob.${knob.name}.help`, { label })}
        @input=${(event) => set(page, status, knob, Number(event.target.value))} />
      <output>${shown}</output>
    </label>
  `;
}

/** The value that the draft or the settings in force give. */
function valueOf({ label, changes }, status, { group, name }) {
  if (label && name === "on") return of(changes.decide?.labels, label) ?? of(status.thresholds, label);
  return changes[group]?.[name] ?? status[group][name];
}

/** Put a value into the draft. What equals the settings in force is no change. */
export function set(page, status, knob, value) {
  const { tuning } = page.view;
  const changes = structuredClone(tuning.changes);
  const own = tuning.label && knob.name === "on";
  const table = own ? ((changes.decide ??= {}).labels ??= {}) : (changes[knob.group] ??= {});
  const name = own ? tuning.label : knob.name;
  table[name] = value;
  if (value === (own ? status.thresholds[name] : status[knob.group][name])) delete table[name];
  if (!own && knob.name === "on" && changes.decide?.off === undefined && value < status.decide.off) changes.decide.off = value;
  Object.assign(tuning, { changes: pruned(changes), toml: "", note: "" });
  page.draw();
}

export const ON = KNOBS[0];
export const OFF = KNOBS[1];
export const gateKnob = (classifier) => KNOBS.find((knob) => knob.gate === classifier.gate);

function pruned(table) {
  const kept = Object.entries(table).map(([name, value]) => [name, typeof value === "object" && value ? pruned(value) : value]);
  return Object.fromEntries(kept.filter(([, value]) => typeof value !== "object" || Object.keys(value).length));
}

/** What the draft would have done with what the page has heard in the last ten minutes. */
function preview(page, { key, classifier }, status) {
  const { tuning } = page.view;
  if (tuning.changes.vad) {
    const points = page.store.gates.get(key)?.points ?? [];
    if (!points.length) return t("preview.none");
    const threshold = tuning.changes.vad[gateKnob(classifier).name];
    const opened = replayGate(points, threshold, classifier.gate === "speech" ? GATE_FALL : 0);
    return t("preview.gate", { n: opened.times, s: seconds(opened.seconds) });
  }
  const { points } = page.store.series(key);
  if (!points.length) return t("preview.none");
  const only = (fired) => fired.filter(({ label }) => !tuning.label || label === tuning.label);
  const now = only(replay(points, rulesOf(status)).fired);
  if (!tuning.changes.decide) return t("preview.now", { n: now.length });
  const then = only(replay(points, rulesOf(status, tuning.changes)).fired);
  const { times, added, gone, doubtful } = compare(now, then, status.verify);
  const differs = [
    added && t("preview.added", { n: added }),
    doubtful && t("preview.doubtful", { n: doubtful }),
    gone && t("preview.gone", { n: gone }),
  ].filter(Boolean);
  return [t("preview.times", { n: times }), ...(differs.length ? differs : [t("preview.same")])].join(", ");
}

function choose(page, label) {
  Object.assign(page.view.tuning, { label, changes: {}, toml: "", note: "" });
  page.draw();
}

function reset(page) {
  Object.assign(page.view.tuning, { changes: {}, note: "" });
  page.draw();
}

async function apply(page, name, status) {
  const { changes } = page.view.tuning;
  await send(page, name, changes, before(changes, status));
}

const undo = (page, name) => send(page, name, page.view.tuning.undo, null);

async function send(page, name, changes, undone) {
  const { tuning } = page.view;
  Object.assign(tuning, { busy: true, note: "", copied: false });
  try {
    const answer = await page.stream.patch(name, changes);
    const restart = answer.restart?.length ? ` ${t("tuner.restart", { keys: answer.restart.join(", ") })}` : "";
    const note = t(undone ? "tuner.applied" : "tuner.undone") + restart;
    Object.assign(tuning, { changes: {}, toml: undone ? (answer.toml ?? "") : "", note, failed: false, undo: undone });
  } catch (error) {
    Object.assign(tuning, { note: refusal(error), failed: true });
    ask(page, error);
  }
  tuning.busy = false;
  page.draw();
}

/** The change that takes `changes` back. A label that had no threshold of its own gets null, which takes it away. */
function before(changes, status) {
  const of = (table, values) => Object.fromEntries(Object.keys(table).map((name) => [
    name, typeof table[name] === "object" ? of(table[name], values[name] ?? {}) : (values[name] ?? null),
  ]));
  return of(changes, status);
}

async function copy(page) {
  const { tuning } = page.view;
  await navigator.clipboard?.writeText(tuning.toml).then(() => (tuning.copied = true), () => {});
  page.draw();
}
