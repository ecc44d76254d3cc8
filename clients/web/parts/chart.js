// The scores of a classifier over ten minutes (uPlot), with lines for the thresholds that can be dragged.

import { html } from "../vendor/lit-html.js";
import { rulesOf } from "../decide.js";
import { colours, labelColour } from "../loop.js";
import { KEPT } from "../store.js";
import { clock, minute, score, t } from "../words.js";
import { OFF, ON, set } from "./tuner.js";
import { twin } from "./twin.js";

const HEIGHT = 190;
const REACH = 14; // px within which a line can be taken
const MOST_LINES = 6;
let loading = null;

/** uPlot is loaded when it is needed first. */
function library() {
  loading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = new URL("../vendor/uplot.js", import.meta.url);
    script.onload = () => resolve(globalThis.uPlot);
    script.onerror = reject;
    document.head.append(script);
  });
  return loading;
}

export const chart = (page, pair, status) => html`
  <score-chart .state=${{ page, pair, status }} aria-hidden="true"></score-chart>
  ${twin(page, "chart", () => table(page, pair))}
`;

function table(page, { key }) {
  const points = page.store.series(key).points.slice(-20).reverse();
  const best = (scores) => Object.entries(scores).sort((one, other) => other[1] - one[1])[0] ?? ["–", undefined];
  return html`<table><tr><th scope="col">${t("time")}</th><th scope="col">${t("label")}</th><th scope="col">${t("score")}</th></tr>
    ${points.map(({ at, scores }) => html`<tr><td>${clock(at)}</td><td>${best(scores)[0]}</td><td>${score(best(scores)[1])}</td></tr>`)}
  </table>`;
}

/** The points as uPlot takes them. Between two sounds there is a hole, so that no line joins them. */
function columns(points, labels, { window, hop }) {
  const data = [[], ...labels.map(() => [])];
  let before = null;
  for (const { at, scores } of points) {
    if (before !== null && at - before > 1000 * (window + hop)) {
      data.forEach((column, index) => column.push(index ? null : (before + at) / 2000));
    }
    data[0].push(at / 1000);
    labels.forEach((label, index) => data[index + 1].push(scores[label] ?? 0));
    before = at;
  }
  return data;
}

class ScoreChart extends HTMLElement {
  set state(state) {
    this._state = state;
    this.refresh();
  }

  connectedCallback() {
    this.resizing = new ResizeObserver(() => this.plot?.setSize({ width: this.clientWidth, height: HEIGHT }));
    this.resizing.observe(this);
    library().then((uPlot) => ((this.uPlot = uPlot), this.refresh()));
  }

  disconnectedCallback() {
    this.resizing.disconnect();
    this.plot?.destroy();
    this.plot = null;
  }

  refresh() {
    if (!this.uPlot || !this.isConnected || this.clientWidth === 0) return;
    const { page, pair, status } = this._state;
    const { points } = page.store.series(pair.key);
    const kind = `${page.view.tuning?.label} ${page.theme} ${status.name}`;
    if (kind !== this.kind || !this.plot) {
      this.plot?.destroy();
      this.labels = [];
      this.plot = this.made();
      this.kind = kind;
      this.points = null;
    }
    for (const label of this.chosen(points)) this.add(label);
    const { labels } = this;
    const newest = points[points.length - 1];
    if (newest !== this.points || page.view.tuning?.changes !== this.changes) {
      this.points = newest;
      this.changes = page.view.tuning?.changes;
      const data = columns(points, labels, pair.classifier);
      this.plot.setData(data, false);
      const end = page.store.time(Date.now()) / 1000;
      const from = Math.max(end - KEPT / 1000, Math.min(data[0][0] ?? end, end - 30));
      this.plot.setScale("x", { min: from, max: end });
    }
  }

  /** The chosen label, or those with the best scores. */
  chosen(points) {
    const { label } = this._state.page.view.tuning ?? {};
    if (label) return [label];
    const best = {};
    for (const { scores } of points) for (const each in scores) best[each] = Math.max(best[each] ?? 0, scores[each]);
    return Object.keys(best).sort((one, other) => best[other] - best[one]).slice(0, MOST_LINES);
  }

  /** Add the line of a label, if there is room. Lines stay, so that the chart stands still under the pointer. */
  add(label) {
    if (this.labels.includes(label) || this.labels.length >= MOST_LINES) return;
    const { classifier } = this._state.pair;
    const sharp = classifier.mode === "utterance"; // single events, not a course
    const stroke = labelColour(classifier.labels, label);
    this.labels.push(label);
    this.plot.addSeries({ label, stroke, width: sharp ? 0 : 1.75, spanGaps: false, points: { show: sharp, size: 7, fill: stroke } });
  }

  made() {
    const { soft, line } = colours();
    const axis = { stroke: soft, grid: { stroke: line, width: 1 }, ticks: { show: false }, font: `11px ${colours().font}` };
    const options = {
      width: this.clientWidth, height: HEIGHT, legend: { show: false }, cursor: { show: false }, padding: [10, 12, 0, 0],
      scales: { x: { time: true }, y: { range: [0, 1.02] } },
      axes: [{ ...axis, size: 28, values: (_, ticks, __, ___, step) => ticks.map((tick) => (step < 60 ? clock : minute)(tick * 1000)) }, { ...axis, size: 34 }],
      series: [{}], hooks: { draw: [(plot) => this.lines(plot)] },
    };
    const plot = new this.uPlot(options, [[]], this);
    this.drag(plot.over, plot);
    return plot;
  }

  thresholds() {
    const { page, status } = this._state;
    const { tuning } = page.view;
    const rules = rulesOf(status, tuning?.changes);
    const label = tuning?.label || null;
    const on = label ? rules.on(label) : rules.decide.on;
    return status.mode === "sliding" ? { on, off: label ? rules.off(label) : rules.decide.off } : { on };
  }

  lines(plot) {
    const { ctx, bbox } = plot;
    const { card, font, soft, text: ink } = colours();
    ctx.save();
    ctx.lineWidth = 1.5 * devicePixelRatio;
    ctx.font = `600 ${11 * devicePixelRatio}px ${font}`;
    for (const [name, value] of Object.entries(this.thresholds())) {
      const y = plot.valToPos(value, "y", true);
      ctx.strokeStyle = name === "on" ? ink : soft;
      ctx.setLineDash(name === "on" ? [] : [5 * devicePixelRatio, 4 * devicePixelRatio]);
      ctx.beginPath();
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(bbox.left + bbox.width, y);
      ctx.stroke();
      const text = `${t(`knob.${name}`)} ${score(value)}`;
      const right = bbox.left + bbox.width - 4;
      const base = y + (name === "on" ? -6 : 14) * devicePixelRatio;
      ctx.globalAlpha = 0.85; // what is written must be read over the lines
      ctx.fillStyle = card;
      ctx.fillRect(right - ctx.measureText(text).width - 6, base - 11 * devicePixelRatio, ctx.measureText(text).width + 10, 14 * devicePixelRatio);
      ctx.globalAlpha = 1;
      ctx.fillStyle = ctx.strokeStyle;
      ctx.textAlign = "right";
      ctx.fillText(text, right, base);
    }
    ctx.restore();
  }

  drag(over, plot) {
    const valueAt = (event) => Math.min(1, Math.max(0.05, plot.posToVal(event.clientY - over.getBoundingClientRect().top, "y")));
    const near = (event) => {
      const y = event.clientY - over.getBoundingClientRect().top;
      const found = Object.entries(this.thresholds()).map(([name, value]) => [name, Math.abs(plot.valToPos(value, "y") - y)]);
      const [name, distance] = found.sort((one, other) => one[1] - other[1])[0];
      return distance <= REACH && !(name === "off" && this._state.page.view.tuning.label) ? name : null;
    };
    let taken = null;
    over.addEventListener("pointerdown", (event) => {
      taken = near(event);
      if (taken) over.setPointerCapture(event.pointerId);
    });
    over.addEventListener("pointermove", (event) => {
      over.classList.toggle("grab", taken !== null || near(event) !== null);
      if (taken) set(this._state.page, this._state.status, taken === "on" ? ON : OFF, Math.round(valueAt(event) * 100) / 100);
    });
    for (const end of ["pointerup", "pointercancel"]) over.addEventListener(end, () => (taken = null));
  }
}

customElements.define("score-chart", ScoreChart);
