// A card for each source: its state in words, its level, its gates, and what was lost.

import { html, nothing } from "../vendor/lit-html.js";
import { colours, ease } from "../loop.js";
import { score, seconds, shown, t } from "../words.js";
import { ask } from "./token.js";

const LOWEST = -80; // dBFS at the left end of the level
const TONES = { listening: "ok", quiet: "warn", starting: "warn", muted: "warn", clipping: "warn", stalled: "bad", lost: "bad" };
const LIMITED = "band_limited: "; // begins the detail of a source whose sound has no high frequencies
const levels = new Map();

export function sources(page) {
  const all = [...page.store.sources.values()];
  return html`
    <section aria-labelledby="sources-title">
      <h2 id="sources-title">${t("sources")}</h2>
      ${page.store.gateway ? html`<p class="empty">${t("gateway")}</p>` : nothing}
      ${all.length ? all.map((source) => card(page, source)) : html`<p class="empty">${t("sources.none")}</p>`}
    </section>
  `;
}

function card(page, source) {
  const { store, view } = page;
  const level = store.levels.get(source.name);
  const paused = source.state === "paused";
  const limited = source.state === "listening" && (source.detail ?? "").startsWith(LIMITED);
  const detail = limited ? source.detail.slice(LIMITED.length) : source.detail;
  const gates = Object.entries(level?.gates ?? {});
  return html`
    <article class="card source" data-source=${source.name} data-state=${source.state}>
      <div class="head">
        <h3>${source.name}</h3>
        <button class="quiet small" aria-pressed=${paused} @click=${() => pause(page, source.name, !paused)}>
          ${t(paused ? "source.resume" : "source.pause")}
        </button>
      </div>
      <p class="state ${limited ? "warn" : TONES[source.state] ?? ""}"><i aria-hidden="true"></i>${t(limited ? "state.limited" : `state.${source.state}`)}</p>
      ${detail ? html`<p class="detail">${shown(detail)}</p>` : nothing}
      <paint-canvas class="level" .painter=${painter(store, source.name)}></paint-canvas>
      <meter class="vh" min=${LOWEST} max="0" low="-60" .value=${Math.round(level?.db ?? LOWEST)}
        aria-label=${t("level.of", { source: source.name })}>${Math.round(level?.db ?? LOWEST)} dB</meter>
      <p class="scale"><span>${level ? t("level", { db: level.db.toFixed(0), floor: level.floor.toFixed(0) }) : t("level.none")}</span>
        ${level && level.peak > -0.5 ? html`<b class="warn">${t("clipping")}</b>` : nothing}</p>
      ${gates.length ? html`<ul class="gates">${gates.map(([name, gate]) => gateLight(name, gate, store.classifiers.get(name)?.gate))}</ul>` : nothing}
      <p class="facts">${facts(source).map((fact) => html`<span>${fact}</span>`)}</p>
      ${view.notes.has(source.name) ? html`<p class="error" role="alert">${view.notes.get(source.name)}</p>` : nothing}
    </article>
  `;
}

const gateLight = (name, { open, value, threshold }, kind) => html`
  <li class=${open ? "open" : ""}><i aria-hidden="true"></i><span>${name}</span>
    <span class="number">${t(open ? "gate.open" : "gate.closed")}${
      threshold === undefined || threshold === null ? "" : ` · ${kind === "level" ? t("gate.db", { value: value.toFixed(0), threshold: threshold.toFixed(0) }) : `${score(value)} / ${score(threshold)}`}`
    }</span></li>
`;

function facts(source) {
  const lost = Object.entries(source.lost ?? {}).filter(([, length]) => length > 0);
  return [
    shown(source.device ?? ""),
    source.rate ? t("rate", { khz: source.rate / 1000 }) : "",
    source.lag === undefined ? "" : t("lag", { ms: Math.round(source.lag * 1000) }),
    ...lost.map(([cause, length]) => t(`lost.${cause}`, { s: seconds(length) })),
  ].filter(Boolean);
}

async function pause(page, name, paused) {
  const { notes } = page.view;
  notes.delete(name);
  try {
    await page.stream.pause(name, paused);
  } catch (error) {
    notes.set(name, error.message);
    ask(page, error);
  }
  page.draw();
}

/** The level as a bar: RMS, the peak that holds, and the noise floor. */
function painter(store, name) {
  if (levels.has(name)) return levels.get(name);
  const shown = { db: LOWEST, hold: LOWEST, floor: LOWEST };
  let drawn = "";
  let before = 0;
  const made = {
    due(now) {
      const level = store.levels.get(name);
      const elapsed = Math.min(100, now - before);
      before = now;
      // a source that says nothing any more has no level
      const old = !level || store.time(Date.now()) - level.at > 2000;
      const goal = old ? { db: LOWEST, hold: LOWEST, floor: LOWEST } : level;
      shown.db = ease(shown.db, goal.db, elapsed, 45);
      shown.hold = ease(shown.hold, goal.hold, elapsed, 30);
      shown.floor = ease(shown.floor, goal.floor, elapsed, 200);
      return Object.values(shown).map((db) => db.toFixed(1)).join() !== drawn;
    },
    draw(context, width, height) {
      drawn = Object.values(shown).map((db) => db.toFixed(1)).join();
      const { track, ok, warn, bad, text, soft } = colours();
      const x = (db) => width * Math.min(1, Math.max(0, 1 - db / LOWEST));
      const bar = (to, fill) => {
        context.fillStyle = fill;
        context.beginPath();
        context.roundRect(0, 3, to, height - 6, 4);
        context.fill();
      };
      bar(width, track);
      const filled = context.createLinearGradient(0, 0, width, 0);
      for (const [at, colour] of [[0, ok], [0.8, ok], [0.92, warn], [1, bad]]) filled.addColorStop(at, colour);
      if (shown.db > LOWEST + 0.5) bar(x(shown.db), filled);
      context.fillStyle = soft;
      if (shown.floor > LOWEST + 0.5) context.fillRect(x(shown.floor) - 0.5, 0, 1, height);
      context.fillStyle = shown.hold > -0.5 ? bad : text;
      if (shown.hold > LOWEST + 0.5) context.fillRect(x(shown.hold) - 2, 3, 2, height - 6);
    },
  };
  levels.set(name, made);
  return made;
}
