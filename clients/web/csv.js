// Detections as CSV. A text that a spreadsheet would take for a formula gets an apostrophe before it.

const COLUMNS = ["time", "source", "classifier", "label", "score", "peak", "start_time", "end_time", "duration_s", "reason", "id"];

export function toCsv(spans) {
  const lines = spans.map(({ from, to, ...span }) => {
    const iso = (ms) => (ms === null ? "" : new Date(ms).toISOString());
    const duration = to === null ? "" : ((to - from) / 1000).toFixed(2);
    const { source, classifier, label, score, peak, reason, id, event } = span;
    return [event.time, source, classifier, label, score, peak, iso(from), iso(to), duration, reason, id].map(cell).join(",");
  });
  return [COLUMNS.join(","), ...lines, ""].join("\r\n");
}

function cell(value) {
  let text = String(value ?? "");
  if (typeof value === "string" && /^[=+\-@\t\r]/.test(text)) text = `'${text}`;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
