// Ten minutes on a canvas: a lane for each label, its spans with the confidence as height, and what was lost.

import { html, nothing } from "../vendor/lit-html.js";
import { KEPT, Store } from "../store.js";
import { clock, score, t } from "../words.js";
import { AXIS, LANE, paintLanes } from "./lanes.js";
import { twin } from "./twin.js";
import { why } from "./why.js";

const SPANS = [120_000, KEPT]; // ms that are seen at once
const MOST = 5000; // events of the past that are asked for at once
const REDRAW = 200; // ms between two drawings because a score came

export const timeline = (page) => page.timeline.part();

/** The timeline and where it stands: `end` is null while it follows the present. */
export class Timeline {
  constructor(page) {
    Object.assign(this, { page, end: null, span: KEPT, archive: null, busy: false, drawn: "", hits: [], hover: null, problem: "" });
  }

  get now() {
    return this.page.store.time(Date.now());
  }

  /** Where the spans in view come from. */
  get source() {
    return this.end === null || !this.archive ? this.page.store : this.archive;
  }

  part() {
    const lanes = this.lanes();
    const { view } = this.page;
    const chosen = view.spot && this.source.spans.find((span) => span.id === view.spot);
    return html`
      <section class="card timeline" aria-labelledby="timeline-title">
        <div class="head">
          <h2 id="timeline-title">${t("timeline")}</h2>
          <p class="how">${this.end === null ? "" : t(this.busy ? "timeline.loading" : "timeline.past", { time: clock(this.end) })}${this.problem}</p>
          <div class="actions">
            ${SPANS.map((span) => html`<button class="quiet small" aria-pressed=${this.span === span} @click=${() => this.zoom(span)}>
              ${t("minutes", { n: span / 60_000 })}</button>`)}
            <button class="quiet small" @click=${() => this.pan(-this.span / 2)} aria-label=${t("timeline.earlier")}>←</button>
            <button class="quiet small" @click=${() => this.pan(this.span / 2)} aria-label=${t("timeline.later")} ?disabled=${this.end === null}>→</button>
            <button class="quiet small" @click=${() => this.pan(Infinity)} ?disabled=${this.end === null}>${t("timeline.now")}</button>
          </div>
        </div>
        <paint-canvas class="lanes" .painter=${this} .style=${`height:${Math.max(2, lanes.length) * LANE + AXIS}px`}
          role="img" tabindex="0" aria-label=${t("timeline.label", { n: lanes.length })}
          @pointerdown=${this.grab} @pointermove=${this.drag} @pointerup=${this.drop} @pointerleave=${this.leave} @keydown=${this.key}></paint-canvas>
        ${lanes.length ? nothing : html`<p class="empty">${t("timeline.empty")}</p>`}
        ${chosen ? why(this.page, chosen) : nothing}
        ${twin(this.page, "timeline", () => this.table())}
      </section>
    `;
  }

  table() {
    const rows = this.visible().slice(-50).reverse();
    const heads = ["time", "label", "classifier", "source", "score", "end"];
    return html`<table><tr>${heads.map((head) => html`<th scope="col">${t(head)}</th>`)}</tr>
      ${rows.map((span) => html`<tr><td>${clock(span.from)}</td><th scope="row">${span.label}</th><td>${span.classifier}</td>
        <td>${span.source}</td><td>${score(span.score ?? span.peak)}</td><td>${span.to === null ? t("on") : clock(span.to)}</td></tr>`)}
    </table>`;
  }

  visible() {
    const end = this.end ?? this.now;
    return this.source.spans.filter((span) => span.from <= end && (span.to ?? Infinity) >= end - this.span);
  }

  /** The lanes in the order of the classifiers and of their labels: {name, key, classifier, source}. */
  lanes() {
    const names = [...this.page.store.classifiers.keys()];
    const place = ({ classifier, label }) => names.indexOf(classifier) * 1e6 + (this.labels(classifier).indexOf(label));
    const found = new Map();
    for (const span of this.visible()) found.set(`${span.key}|${span.label}`, span);
    return [...found.entries()].sort(([, one], [, other]) => place(one) - place(other)).map(([id, span]) => ({ ...span, id }));
  }

  labels(classifier) {
    return this.page.store.classifiers.get(classifier)?.labels ?? [];
  }

  zoom(span) {
    this.span = span;
    this.page.draw();
  }

  /** Move by `ms`. What the page does not hold any more comes from the daemon's history. */
  pan(ms) {
    const end = (this.end ?? this.now) + ms;
    this.end = end >= this.now ? null : end;
    this.problem = "";
    if (this.end !== null) this.load();
    this.page.draw();
  }

  load() {
    clearTimeout(this.waiting);
    const [from, to] = [this.end - this.span * 1.5, this.end + this.span / 2];
    if (this.archive && this.archive.from <= this.end - this.span && this.archive.to >= Math.min(this.end, this.now)) return;
    this.busy = true;
    this.waiting = setTimeout(async () => {
      try {
        const archive = new Store();
        archive.sources = new Map(this.page.store.sources);
        for (const event of await this.page.stream.past(from, to, ["result", "label", "loss"], MOST)) archive.take(event, 0);
        this.archive = Object.assign(archive, { from, to });
      } catch (error) {
        this.problem = error.message;
      }
      this.busy = false;
      this.drawn = "";
      this.page.draw();
    }, 250);
  }

  due(now, width) {
    const { store } = this.page;
    const step = this.span / width; // ms of a pixel
    const at = Math.floor((this.end ?? this.now) / step);
    const growing = store.active.size ? Math.floor(now / REDRAW) : 0;
    const seen = [at, this.span, store.spanChanges, growing, this.hover, this.page.view.spot, this.source === store].join();
    if (seen === this.drawn) return false;
    this.drawn = seen;
    return true;
  }

  draw(context, width, height) {
    this.left = width < 560 ? 84 : 150;
    this.hits = paintLanes(this, context, width, height);
  }

  at({ offsetX, offsetY }) {
    return this.hits.findLast(({ from, to, y }) => offsetX >= from && offsetX <= to && offsetY >= y && offsetY < y + LANE)?.id ?? null;
  }

  grab = (event) => {
    this.held = { x: event.clientX, end: this.end ?? this.now, moved: false };
  };

  drag = (event) => {
    this.hover = this.at(event);
    event.currentTarget.classList.toggle("pointed", this.hover !== null);
    if (!this.held || !event.buttons) return;
    const moved = event.clientX - this.held.x;
    if (Math.abs(moved) > 4) this.held.moved = true;
    if (!this.held.moved) return;
    this.end = this.held.end;
    this.pan((-moved * this.span) / (event.currentTarget.clientWidth - this.left));
  };

  drop = (event) => {
    if (this.held && !this.held.moved) this.choose(this.at(event));
    this.held = null;
  };

  leave = () => {
    this.held = this.hover = null;
  };

  key = (event) => {
    const step = { ArrowLeft: -this.span / 10, ArrowRight: this.span / 10, End: Infinity }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    this.pan(step);
  };

  choose(id) {
    const { view } = this.page;
    view.spot = view.spot === id ? null : id;
    this.page.draw();
  }
}
