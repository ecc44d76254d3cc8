// What is heard now: a card for each classifier and source, with the reasons in words, and the tuner below.

import { html, nothing } from "../vendor/lit-html.js";
import { replay, rulesOf } from "../decide.js";
import { of, plain, score, t, verdict } from "../words.js";
import { bars, ROW, ROWS } from "./bars.js";
import { labelsButton, labelsForm } from "./labels.js";
import { knobs, trial } from "./tuner.js";

const HITS_OVER = 60; // newest results over which the hits so far are counted
const counted = new Map(); // key → {at, status, hits}
const painters = new Map();
const EMPTY = { top: [], at: 0 };

export function hearing(page) {
  const pairs = page.store.pairs();
  return html`
    <section id="hearing" class="hearing" aria-labelledby="hearing-title">
      <h2 id="hearing-title">${t("hearing")}</h2>
      ${pairs.length ? nothing : html`<p class="empty">${t("hearing.none")}</p>`}
      <div class="cards">${pairs.map((pair) => card(page, pair, pairs))}</div>
    </section>
  `;
}

function card(page, pair, pairs) {
  const { store, view } = page;
  const { classifier, key, source } = pair;
  const status = store.status.get(classifier.name);
  const now = store.now.get(key);
  const on = activeLabels(store, key);
  const several = pairs.filter((other) => other.classifier.name === classifier.name).length > 1;
  const tuned = view.tuning?.key === key;
  const wide = tuned || (view.typing?.key === key && classifier.label_set);
  return html`
    <article class="card now ${wide ? "tuned" : ""}" data-classifier=${classifier.name} data-source=${source}>
      <div class="head">
        <h3>${classifier.name}${several ? html` <small>${source}</small>` : nothing}</h3>
        <p class="how">${t(`mode.${classifier.mode}`, classifier)}</p>
        ${labelsButton(page, pair)}
        <button class="quiet small tune" aria-expanded=${tuned} ?disabled=${!status} @click=${() => tune(page, key)}>
          ${t(tuned ? "tuner.close" : "tuner.open")}
        </button>
      </div>
      <div class="split">
        <div>
          <paint-canvas class="bars" .painter=${painter(page, pair)}></paint-canvas>
          <p class="verdict">${verdict(now, status, hitsOf(store, key, status, now), on[0])}</p>
          ${isEmotion(classifier) ? html`<p class="caution">${t("emotion")}</p>` : nothing}
          ${twin(now, status)}
          ${tuned ? knobs(page, pair, status) : nothing}
        </div>
        ${tuned ? trial(page, pair, status) : labelsForm(page, pair)}
      </div>
    </article>
  `;
}

/** The bars as a table, for who does not see the canvas. */
const twin = (now, status) => html`
  <div class="vh"><table><caption>${t("twin.scores")}</caption>
    <tr><th scope="col">${t("label")}</th><th scope="col">${t("score")}</th><th scope="col">${t("threshold")}</th></tr>
    ${(now?.top ?? []).slice(0, ROWS).map(({ label, score: value }) => html`
      <tr><th scope="row">${plain(label)}</th><td>${score(value)}</td><td>${score(of(status?.thresholds, label))}</td></tr>`)}
  </table></div>
`;

function tune(page, key) {
  const { view } = page;
  view.typing = null;
  view.tuning = view.tuning?.key === key ? null : { key, label: "", changes: {}, gate: false, toml: "", note: "" };
  page.draw();
}

const activeLabels = (store, key) => [...store.active.values()].filter((span) => span.key === key).map((span) => span.label);

function hitsOf(store, key, status, now) {
  if (!status || !now?.top.length || status.mode !== "sliding") return 0;
  const known = counted.get(key);
  if (known?.at === now.at && known.status === status) return known.hits;
  const hits = replay(store.series(key).points.slice(-HITS_OVER), rulesOf(status)).hits[now.top[0].label] ?? 0;
  counted.set(key, { at: now.at, status, hits });
  return hits;
}

/** An emotion is what a model says of acted or spoken expression, and must not be taken for more. */
const FEELINGS = new Set(["angry", "anger", "happy", "happiness", "sad", "sadness", "fear", "fearful", "disgust", "ang", "hap"]);
const isEmotion = (classifier) => classifier.labels.filter((label) => FEELINGS.has(label.toLowerCase())).length >= 3;

function painter(page, { key, classifier }) {
  if (painters.has(key)) return painters.get(key);
  const { store } = page;
  const made = bars(() => ({
    ...(store.now.get(key) ?? EMPTY),
    active: new Set(activeLabels(store, key)),
    thresholds: thresholdsOf(page, key, classifier.name),
    labels: store.classifiers.get(classifier.name)?.labels ?? [],
    time: store.time(Date.now()),
  }));
  painters.set(key, made);
  return made;
}

/** The thresholds in force, or those that the tuner tries. */
function thresholdsOf(page, key, name) {
  const status = page.store.status.get(name);
  if (!status) return {};
  if (page.view.tuning?.key !== key || !page.view.tuning.changes.decide) return status.thresholds;
  const rules = rulesOf(status, page.view.tuning.changes);
  return Object.fromEntries(Object.keys(status.thresholds).map((label) => [label, rules.on(label)]));
}

export const BARS_HEIGHT = ROW * ROWS;
