// The lanes of the timeline, drawn.

import { colours, labelColour } from "../loop.js";
import { clock, minute, plain } from "../words.js";

export const LANE = 25; // px
export const AXIS = 24; // px

/** Draw the timeline. Returns where its spans are: {id, from, to, y} in px. */
export function paintLanes(timeline, context, width, height) {
  const palette = colours();
  const end = timeline.end ?? timeline.now;
  const { left, span } = timeline;
  const x = (ms) => left + ((width - left) * (ms - end + span)) / span;
  const lanes = timeline.lanes();
  const view = { timeline, context, width, left, x, palette, lanes, hits: [], visible: timeline.visible() };
  axis(view, end, height);
  lanes.forEach((lane, index) => row(view, lane, index));
  for (const loss of timeline.source.losses) hatch(view, loss);
  return view.hits;
}

function axis({ timeline: { span }, context, width, left, x, palette }, end, height) {
  const every = span > 300_000 ? (width < 560 ? 180_000 : 60_000) : 30_000;
  context.font = `11px ${palette.font}`;
  context.textAlign = "center";
  context.textBaseline = "alphabetic";
  for (let at = Math.ceil((end - span) / every) * every; at <= end; at += every) {
    context.fillStyle = palette.line;
    context.fillRect(x(at), 0, 1, height - AXIS + 4);
    context.fillStyle = palette.soft;
    if (x(at) > left + 16 && x(at) < width - 16) context.fillText(every < 60_000 ? clock(at) : minute(at), x(at), height - 7);
  }
}

function row(view, lane, index) {
  const { timeline, context, width, left, palette } = view;
  const y = index * LANE;
  context.fillStyle = palette.line;
  context.fillRect(0, y + LANE - 0.5, width, 0.5);
  clipped(context, [0, y, left - 10, LANE], () => {
    context.font = `12.5px ${palette.font}`;
    context.textAlign = "left";
    context.textBaseline = "middle";
    context.fillStyle = labelColour(timeline.labels(lane.classifier), lane.label);
    context.beginPath();
    context.arc(5, y + LANE / 2, 4, 0, 7);
    context.fill();
    context.fillStyle = palette.text;
    context.fillText(plain(lane.label), 17, y + LANE / 2);
  });
  clipped(context, [left, y, width - left, LANE], () => {
    for (const span of view.visible) if (`${span.key}|${span.label}` === lane.id) bar(view, span, y);
  });
}

/** A span: its whole length faint, and in it the confidence as height. */
function bar({ timeline, context, x, palette, hits }, span, y) {
  const [from, to] = [x(span.from), x(span.to ?? timeline.now)];
  const width = Math.max(5, to - from);
  const [top, full] = [y + 4, LANE - 8];
  const labels = timeline.labels(span.classifier);
  const box = (at, height) => {
    context.beginPath();
    context.roundRect(from, at, width, height, 3);
    context.fill();
  };
  context.fillStyle = labelColour(labels, span.label, 0.22);
  box(top, full);
  context.fillStyle = labelColour(labels, span.label);
  const points = width < 8 ? [] : scores(timeline, span);
  if (points.length < 2) {
    const tall = Math.max(3, full * (span.peak ?? span.score ?? 1));
    box(top + full - tall, tall);
  } else {
    context.beginPath();
    context.moveTo(from, top + full);
    for (const { at, value } of points) context.lineTo(Math.min(from + width, Math.max(from, x(at))), top + full * (1 - value));
    context.lineTo(from + width, top + full * (1 - points[points.length - 1].value));
    context.lineTo(from + width, top + full);
    context.fill();
  }
  if (span.id === timeline.page.view.spot || span.id === timeline.hover) {
    context.strokeStyle = palette.text;
    context.lineWidth = 1.5;
    context.strokeRect(from - 1, top - 1, width + 2, full + 2);
  }
  hits.push({ id: span.id, from: from - 4, to: from + width + 4, y });
}

function scores({ source }, span) {
  const found = [];
  for (const { at, scores: all } of source.results.get(span.key)?.since(span.from) ?? []) {
    if (at > (span.to ?? Infinity)) break;
    found.push({ at, value: all[span.label] ?? 0 });
  }
  if (found.length) found.unshift({ at: span.from, value: found[0].value });
  return found;
}

/** Sound that was lost is hatched in all lanes of its source. */
function hatch({ context, x, left, palette, lanes }, { source, from, to }) {
  const [start, end] = [Math.max(left, x(from)), Math.max(x(from) + 3, x(to))];
  if (end < left) return;
  const height = LANE * Math.max(2, lanes.length);
  context.save();
  context.beginPath();
  lanes.forEach((lane, index) => lane.source === source && context.rect(start, index * LANE, end - start, LANE));
  if (!lanes.length) context.rect(start, 0, end - start, height);
  context.clip();
  context.strokeStyle = palette.bad;
  context.globalAlpha = 0.55;
  context.beginPath();
  for (let at = start - height; at < end; at += 6) {
    context.moveTo(at, height);
    context.lineTo(at + height, 0);
  }
  context.stroke();
  context.restore();
}

function clipped(context, [x, y, width, height], draw) {
  context.save();
  context.beginPath();
  context.rect(x, y, width, height);
  context.clip();
  draw();
  context.restore();
}
