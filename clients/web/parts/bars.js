// The five best scores of a classifier as bars that move smoothly, with each label's threshold drawn on its bar.

import { colours, ease, labelColour } from "../loop.js";
import { of, plain } from "../words.js";

export const ROWS = 5;
export const ROW = 34; // px
const ALIKE = 0.05; // scores that differ by less do not change places
const FADE = 2500; // ms after which a result that is not followed by another begins to fade

/** Make the painter for one classifier and one source. `now()` returns {top, at, active, thresholds, labels, time}. */
export function bars(now) {
  const rows = new Map(); // label → {value, y, alpha}
  let before = 0;
  let strength = 1;
  let drawn = "";

  function step(time) {
    const elapsed = Math.min(100, time - before);
    before = time;
    const { top, at, active, thresholds, labels, time: clock } = now();
    const wanted = arranged(top, labels, rows);
    strength = ease(strength, at && clock - at > FADE && !active.size ? 0.35 : 1, elapsed, 250);
    for (const [label, row] of rows) if (!wanted.has(label)) row.goal = { value: 0, alpha: 0, y: row.goal.y };
    for (const [label, goal] of wanted) {
      if (!rows.has(label)) rows.set(label, { value: 0, alpha: 0, y: goal.y, tick: of(thresholds, label) ?? 2, goal });
      rows.get(label).goal = goal;
    }
    for (const [label, row] of rows) {
      row.value = ease(row.value, row.goal.value, elapsed);
      row.alpha = ease(row.alpha, row.goal.alpha, elapsed, row.goal.alpha ? 60 : 25);
      row.y = ease(row.y, row.goal.y, elapsed, 45);
      row.tick = ease(row.tick, of(thresholds, label) ?? 2, elapsed, 40);
      if (!row.alpha && !row.goal.alpha) rows.delete(label);
    }
    return signature(active);
  }

  const signature = (active) =>
    [...rows].map(([label, row]) => `${label}${row.value.toFixed(3)},${row.y.toFixed(1)},${row.alpha.toFixed(2)},${row.tick.toFixed(3)}`).join()
    + strength.toFixed(2) + [...active].join();

  return {
    due: (time) => step(time) !== drawn,
    draw(context, width, height) {
      const { labels, active } = now();
      drawn = signature(active);
      const palette = colours();
      if (!rows.size) drawNothing(context, width, palette);
      for (const [label, row] of rows) drawRow(context, width, palette, label, row, { labels, on: active.has(label), strength });
      context.globalAlpha = 1;
    },
  };
}

/** Where each of the best labels belongs. Few labels keep their places; of many, the best come first, if they differ. */
function arranged(top, labels, rows) {
  const best = top.slice(0, ROWS);
  const rank = ({ label, score }) => [-Math.round(score / ALIKE), rows.get(label)?.goal.y ?? Infinity];
  const calm = (one, other) => rank(one)[0] - rank(other)[0] || rank(one)[1] - rank(other)[1] || 0;
  const order = labels.length > ROWS ? best.toSorted(calm) : best.toSorted((one, other) => labels.indexOf(one.label) - labels.indexOf(other.label));
  return new Map(order.map(({ label, score }, index) => [label, { value: score, alpha: 1, y: index * ROW }]));
}

function drawNothing(context, width, palette) {
  const [left, right] = edges(width);
  context.fillStyle = palette.track;
  for (let index = 0; index < ROWS; index++) pill(context, left, (index + 0.5) * ROW - 6, right - left, 12);
}

function drawRow(context, width, palette, label, row, { labels, on, strength }) {
  const [left, right] = edges(width);
  const middle = row.y + ROW / 2;
  const over = row.value >= row.tick;
  context.globalAlpha = row.alpha;
  context.textBaseline = "middle";
  context.font = `${on || over ? 600 : 450} 13.5px ${palette.font}`;
  context.fillStyle = on || over ? palette.text : palette.soft;
  context.textAlign = "left";
  context.fillText(fitted(context, label, left - 14), 0, middle);
  context.textAlign = "right";
  context.fillText(row.value.toFixed(2), width, middle);
  context.fillStyle = palette.track;
  pill(context, left, middle - 6, right - left, 12);
  context.globalAlpha = row.alpha * strength;
  context.fillStyle = labelColour(labels, label, on || over ? 1 : 0.45);
  if (row.value > 0.004) pill(context, left, middle - 6, Math.max(12, (right - left) * row.value), 12);
  context.globalAlpha = row.alpha;
  if (row.tick <= 1) {
    const x = left + (right - left) * row.tick;
    context.fillStyle = palette.card;
    context.fillRect(x - 2.5, middle - 10, 5, 20);
    context.fillStyle = palette.text;
    context.fillRect(x - 1, middle - 10, 2, 20);
  }
}

/** The left and right end of the bars. */
export const edges = (width) => [Math.min(140, width * 0.36), width - 44];

function pill(context, x, y, width, height) {
  context.beginPath();
  context.roundRect(x, y, width, height, height / 2);
  context.fill();
}

function fitted(context, text, width) {
  const whole = plain(text);
  if (context.measureText(whole).width <= width) return whole;
  let short = whole;
  while (short.length > 1 && context.measureText(`${short}…`).width > width) short = short.slice(0, -1);
  return `${short}…`;
}
