// The keyboard: j and k move through the detections, Enter opens one, space pauses, / goes to the filter.

const FIELDS = "input, select, textarea, button, summary, a[href], [role=slider], dialog, [tabindex]";

export function keys(page) {
  const { view } = page;
  const act = {
    j: () => move(1),
    k: () => move(-1),
    " ": () => (view.paused = !view.paused),
    "/": () => document.querySelector("#filter-label")?.focus(),
    Enter: () => toggle(),
    Escape: () => (view.tuning = view.typing = view.open = null),
  };
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const row = event.target.closest(".row"); // the list itself is not a field to type in
    const field = event.target.closest(FIELDS) && !row;
    if (!act[event.key] || (field && event.key !== "Escape")) return;
    if (row && ["Enter", " "].includes(event.key) && event.target.closest("button, a")) return;
    event.preventDefault();
    act[event.key]();
    page.draw();
  });

  function move(by) {
    const rows = [...document.querySelectorAll(".row")];
    if (!rows.length) return;
    const at = rows.findIndex((row) => row.dataset.id === view.selected);
    const next = rows[Math.max(0, Math.min(rows.length - 1, at + by))];
    view.selected = next.dataset.id;
    view.paused = true; // the list must not move away under the reader
    next.focus({ preventScroll: true });
    next.scrollIntoView({ block: "nearest" });
  }

  function toggle() {
    view.open = view.open === view.selected ? null : view.selected;
    view.paused ||= view.open !== null;
  }
}
