// The detections, newest first. The list stands still while somebody reads it.

import { html, nothing } from "../vendor/lit-html.js";
import { toCsv } from "../csv.js";
import { labelColour } from "../loop.js";
import { Store } from "../store.js";
import { clock, gapSentence, plain, score, seconds, t } from "../words.js";
import { why } from "./why.js";

const SHOWN = 150; // rows in the document at once
const MOST_ASKED = 20_000; // labels of the minutes after a linked one
const TOP = 8; // px; who has scrolled further reads

export function detections(page) {
  const { view, store } = page;
  follow(page);
  const all = matching(page, view.older ? [...store.rows, ...view.older.rows] : store.rows);
  const held = view.paused && view.first ? Math.max(0, all.findIndex((row) => row.id === view.first)) : 0;
  const rows = all.slice(held, held + (view.most ?? SHOWN));
  if (!view.paused) view.first = rows[0]?.id;
  return html`
    <section class="card detections" aria-labelledby="detections-title">
      <div class="head">
        <h2 id="detections-title">${t("detections")}</h2>
        <button class="quiet small" aria-pressed=${!!view.paused} @click=${() => pause(page, !view.paused)}>
          ${held ? t("rows.new", { n: held }) : t(view.paused ? "rows.resume" : "rows.pause")}</button>
        <span class="space"></span>
        <button class="quiet small" ?disabled=${!rows.length} @click=${() => download(all)}>${t("rows.csv")}</button>
      </div>
      ${filters(page)}
      <ul class="rows" tabindex="0" aria-label=${t("detections")} @scroll=${(event) => scrolled(page, event)}>
        ${rows.map((row) => (row.kind === "gap" ? gapRow(row) : labelRow(page, row)))}
        ${rows.length ? nothing : html`<li class="empty">${t(store.rows.length ? "rows.none" : "rows.empty")}</li>`}
        <li class="more"><button class="quiet small" ?disabled=${view.busy} @click=${() => older(page, all)}>${view.busy ? t("rows.loading") : t("rows.older")}</button>
          ${view.problem ? html`<span class="error">${view.problem}</span>` : nothing}</li>
      </ul>
    </section>
  `;
}

function filters(page) {
  const { store, view } = page;
  const { filter } = view;
  const put = (name) => (event) => {
    filter[name] = event.target.value;
    page.draw();
  };
  const choice = (name, names) => html`
    <label class="field"><span>${t(name)}</span><select @change=${put(name)}>
      <option value="">${t("all")}</option>${names.map((each) => html`<option ?selected=${filter[name] === each}>${each}</option>`)}
    </select></label>`;
  return html`
    <div class="filters" role="search" aria-label=${t("filters")}>
      ${choice("source", [...store.sources.keys()])} ${choice("classifier", [...store.classifiers.keys()])}
      <label class="field"><span>${t("label")}</span><input id="filter-label" type="search" placeholder=${t("filter.label")} @input=${put("label")} /></label>
      <label class="field"><span>${t("filter.score", { score: score(Number(filter.score ?? 0)) })}</span>
        <input type="range" min="0" max="1" step="0.05" .value=${String(filter.score ?? 0)} @input=${put("score")} /></label>
    </div>`;
}

export function matching({ view: { filter } }, rows) {
  const { source, classifier, label, score: least } = filter;
  return rows.filter(({ kind, span }) => kind === "gap" || (
    (!source || span.source === source) && (!classifier || span.classifier === classifier)
    && (!label || span.label.toLowerCase().includes(label.toLowerCase()))
    && (span.peak ?? span.score ?? 1) >= Number(least ?? 0)));
}

function labelRow(page, { id, span }) {
  const { view, store } = page;
  const labels = store.classifiers.get(span.classifier)?.labels ?? [];
  const open = view.open === id;
  const length = span.to === null ? html`<b class="live">${t("on")}</b>` : seconds((span.to - span.from) / 1000);
  return html`
    <li class="row ${view.selected === id ? "selected" : ""}" tabindex="-1" data-id=${id} data-label=${span.label}>
      <button class="line" aria-expanded=${open} @click=${() => toggle(page, id)}>
        <time>${clock(span.from)}</time>
        <span class="name"><i .style=${`background:${labelColour(labels, span.label)}`}></i>${plain(span.label)}</span>
        <span class="of">${span.classifier} · ${span.source}</span>
        <span class="score">${score(span.peak ?? span.score)}</span>
        <span class="length">${length}</span>
      </button>
      ${open ? why(page, span) : nothing}
    </li>`;
}

const gapRow = (row) => html`<li class="gap"><time>${clock(row.at)}</time> ${gapSentence(row.gap)}</li>`;

function toggle(page, id) {
  const { view } = page;
  view.open = view.open === id ? null : id;
  view.selected = id;
  if (view.open) view.paused = true;
  page.draw();
}

function pause(page, paused) {
  page.view.paused = paused;
  if (!paused) {
    page.view.most = SHOWN;
    document.querySelector(".rows")?.scrollTo({ top: 0 });
  }
  page.draw();
}

function scrolled(page, { currentTarget }) {
  const read = currentTarget.scrollTop > TOP;
  if (read === !!page.view.paused || (!read && page.view.open)) return;
  page.view.paused = read;
  page.draw();
}

/** Show more of what the page has, and then of what the daemon keeps. */
async function older(page, all) {
  const { view, stream } = page;
  view.paused = true;
  if ((view.most ?? SHOWN) < all.length) view.most = (view.most ?? SHOWN) + SHOWN;
  else {
    const last = all.findLast((row) => row.kind === "label");
    view.busy = true;
    page.draw();
    try {
      await loadBefore(page, stream, last);
    } catch (error) {
      view.problem = error.message;
    }
    view.busy = false;
  }
  page.draw();
}

async function loadBefore({ view, store }, stream, last) {
  const found = [];
  for await (const event of stream.client.past({ types: ["label"], to: last?.span.event.time, limit: 200 })) {
    found.push(event);
    if (found.length >= 200) break;
  }
  const past = new Store();
  for (const event of found.reverse()) past.take(event, 0);
  const known = new Set([...store.rows, ...(view.older?.rows ?? [])].map((row) => row.id));
  const rows = past.rows.filter((row) => !known.has(row.id));
  view.older = { rows: [...(view.older?.rows ?? []), ...rows] };
  view.most = (view.most ?? SHOWN) + rows.length;
  view.problem = rows.length ? "" : t("rows.end");
}

/** Open the detection that the address names, once; it may have to be asked for. */
function follow(page) {
  const { view, store, stream } = page;
  if (view.followed || !store.known) return;
  const asked = new URLSearchParams(location.hash.slice(1));
  const [id, at] = [asked.get("id"), Date.parse(asked.get("at"))];
  view.followed = true;
  if (!id || Number.isNaN(at)) return;
  Object.assign(view, { open: id, selected: id, paused: true });
  const isIt = (event) => event.id === id && event.state === "on";
  stream.past(at - 60_000, at + 600_000, ["label"], MOST_ASKED, isIt).then((events) => {
    const past = new Store(); // its list is bounded
    for (const event of events) if (event.id === id) past.take(event, 0);
    const [row] = past.rows;
    if (row && !store.rows.some((each) => each.id === id)) store.rows.unshift(row);
    view.first = id;
    page.draw();
    setTimeout(() => document.querySelector(`.row[data-id="${CSS.escape(id)}"]`)?.scrollIntoView({ block: "center" }), 300);
  }, () => {});
}

function download(rows) {
  const text = toCsv(rows.filter((row) => row.kind === "label").map((row) => row.span));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  link.download = "earmark.csv";
  link.click();
  URL.revokeObjectURL(link.href);
}
