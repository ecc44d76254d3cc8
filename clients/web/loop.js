// One requestAnimationFrame loop for all canvases. A painter has due(now) and draw(context, width, height, now).

const shown = new Set();
let frame = 0;
let palette = null;
const still = matchMedia("(prefers-reduced-motion: reduce)");

/** Whether things may move. */
export const moves = () => !still.matches;

/** The colours of the page's theme, by the names of the custom properties. */
export function colours() {
  if (palette) return palette;
  const style = getComputedStyle(document.documentElement);
  const names = ["text", "soft", "faint", "line", "track", "card", "accent", "ok", "warn", "bad", "label-l", "label-c"];
  palette = Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
  palette.font = style.getPropertyValue("--font").trim() || "system-ui";
  return palette;
}

export function forgetColours() {
  palette = null;
  for (const canvas of shown) canvas.stale = true;
}

/** The colour of a label: neighbours in a model's list of labels are far apart on the wheel. */
export function labelColour(labels, label, alpha = 1) {
  const { "label-l": l, "label-c": c } = colours();
  const hue = (Math.max(0, labels.indexOf(label)) * 137.508 + 185) % 360;
  return `oklch(${l} ${c} ${hue.toFixed(1)} / ${alpha})`;
}

/** Move `value` towards `goal`, `half` ms to the half of the way; at once where nothing may move. */
export function ease(value, goal, elapsed, half = 70) {
  if (!moves() || Math.abs(goal - value) < 0.0005) return goal;
  return goal + (value - goal) * 0.5 ** (elapsed / half);
}

function tick(now) {
  frame = requestAnimationFrame(tick);
  for (const canvas of shown) canvas.paint(now);
}

/** `<paint-canvas>`: a canvas as large as its element, sharp on every screen, drawn only when its painter is due. */
class PaintCanvas extends HTMLElement {
  constructor() {
    super();
    this.canvas = document.createElement("canvas");
    this.canvas.setAttribute("aria-hidden", "true");
    this.context = this.canvas.getContext("2d");
    this.stale = true;
    this.visible = true;
    this.resizing = new ResizeObserver(() => this.measure());
    this.watching = new IntersectionObserver(([entry]) => (this.visible = entry.isIntersecting));
  }

  connectedCallback() {
    if (!this.canvas.parentNode) this.append(this.canvas);
    shown.add(this);
    this.resizing.observe(this);
    this.watching.observe(this);
    this.measure();
    frame ||= requestAnimationFrame(tick);
  }

  disconnectedCallback() {
    shown.delete(this);
    this.resizing.disconnect();
    this.watching.disconnect();
  }

  set painter(painter) {
    this.stale ||= painter !== this._painter;
    this._painter = painter;
  }

  measure() {
    const ratio = devicePixelRatio || 1;
    const [width, height] = [this.clientWidth, this.clientHeight];
    if (this.width === width && this.height === height && this.ratio === ratio) return;
    Object.assign(this, { width, height, ratio, stale: true });
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
  }

  paint(now) {
    const painter = this._painter;
    if (!painter || !this.visible || !this.width || !(this.stale || painter.due(now, this.width))) return;
    this.stale = false;
    this.context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    this.context.clearRect(0, 0, this.width, this.height);
    painter.draw(this.context, this.width, this.height, now);
  }
}

customElements.define("paint-canvas", PaintCanvas);
still.addEventListener("change", forgetColours);
