"""The drawing of a timeline in the report: a row for each label, hatched where nobody listened. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo

from earmark_client.sessions.session import Mark
from earmark_client.sessions.stretches import Stretch
from earmark_client.sessions.timeline import Timeline
from earmark_client.sessions.words import clock, escape, lasted

COLOURS = 10  # in the style: c0 to c9
MOST_ROWS = 12
WIDTH, LEFT, ROW, TOP = 960, 130, 24, 18
_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
_MOST_TICKS = 9


def colour(timeline: Timeline, label: str) -> str:
    """Return the class that colours a label: the same everywhere on the page."""
    return f"c{timeline.labels.index(label) % COLOURS}" if label in timeline.labels else f"c{COLOURS - 1}"


def drawing(
    stretches: Sequence[Stretch],
    order: Sequence[str],
    timeline: Timeline,
    marks: Sequence[Mark],
    begin: float,
    end: float,
    zone: tzinfo | None,
) -> str:
    """Return the SVG of the time from `begin` to `end`. `order` has the labels that were on, the longest first."""
    rows = list(order[:MOST_ROWS])
    if len(order) > MOST_ROWS:
        rows[-1] = "others"
    height = TOP + ROW * max(len(rows), 1) + 24
    scale = (WIDTH - LEFT - 6) / max(end - begin, 0.001)
    bottom = TOP + ROW * max(len(rows), 1)

    def x(time: float) -> float:
        return LEFT + (min(max(time, begin), end) - begin) * scale

    parts = [
        f'<svg class="timeline" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="Timeline of'
        f' {escape(timeline.source)}, {escape(timeline.classifier)}">',
        '<defs><pattern id="hatch" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        '<rect class="hatch-back" width="7" height="7"/><line class="hatch-line" y2="7"/></pattern></defs>',
    ]
    for index, label in enumerate(rows or ["no label was on"]):
        y = TOP + ROW * index
        parts.append(f'<rect class="row" x="{LEFT}" y="{y + 1}" width="{WIDTH - LEFT - 6}" height="{ROW - 3}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 16}" text-anchor="end">{escape(_short(label))}</text>')
    parts += [
        f'<line class="grid" x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{TOP}" y2="{bottom}"/>'
        f'<text class="axis" x="{x(tick):.1f}" y="{bottom + 15}" text-anchor="middle">{shown}</text>'
        for tick, shown in ticks(begin, end, zone)
    ]
    for stretch in joined(stretches, 0.5 / scale):
        width = max(x(stretch.end) - x(stretch.start), 1.0)
        about = f"{clock(stretch.start, zone)}, {lasted(stretch.length)}"
        if stretch.unheard:
            parts.append(
                f'<rect fill="url(#hatch)" x="{x(stretch.start):.1f}" y="{TOP}" width="{width:.1f}"'
                f' height="{bottom - TOP - 1}"><title>{escape(stretch.unheard)}: {about}</title></rect>'
            )
        elif stretch.label:
            index = rows.index(stretch.label) if stretch.label in rows else len(rows) - 1
            parts.append(
                f'<rect class="{colour(timeline, stretch.label)}" rx="2" x="{x(stretch.start):.1f}"'
                f' y="{TOP + ROW * index + 3}" width="{width:.1f}" height="{ROW - 7}">'
                f"<title>{escape(stretch.label)}: {about}</title></rect>"
            )
    for number, mark in enumerate(marks, 1):
        if begin <= mark.time <= end:
            at = x(mark.time)
            parts.append(
                f'<g class="mark"><line x1="{at:.1f}" x2="{at:.1f}" y1="{TOP - 4}" y2="{bottom}"/>'
                f'<text x="{at:.1f}" y="{TOP - 6}" text-anchor="middle">{number}</text>'
                f"<title>{escape(mark.note) or 'marked'}: {clock(mark.time, zone)}</title></g>"
            )
    return "\n".join([*parts, "</svg>"])


def _short(label: str) -> str:
    return label if len(label) <= 19 else label[:18] + "…"


def joined(stretches: Sequence[Stretch], least: float) -> list[Stretch]:
    """Return the stretches to draw: those of one label that are nearer to each other than `least` seconds as one."""
    found: dict[tuple[str, str], Stretch] = {}
    done: list[Stretch] = []
    for stretch in stretches:
        key = (stretch.label, stretch.unheard)
        if not any(key):
            continue
        last = found.get(key)
        if last is not None and stretch.start - last.end < least:
            found[key] = Stretch(last.start, stretch.end, *key)
        else:
            if last is not None:
                done.append(last)
            found[key] = stretch
    return sorted([*done, *found.values()], key=lambda each: (not each.unheard, each.start))


def ticks(begin: float, end: float, zone: tzinfo | None) -> list[tuple[float, str]]:
    """Return the places of the axis that have a round local time, and how each is written."""
    length = end - begin
    step = next((each for each in _STEPS_S if length / each <= _MOST_TICKS), None)
    step = step or 86400 * (int(length / 86400 / _MOST_TICKS) + 1)
    offset = datetime.fromtimestamp(begin, zone).astimezone(zone).utcoffset()
    ahead = offset.total_seconds() if offset is not None else 0.0
    first = -((-(begin + ahead)) // step) * step - ahead
    form = "%H:%M:%S" if step < 60 else "%H:%M" if step < 86400 else "%d %b"
    found = []
    time = first
    while time <= end:
        found.append((time, datetime.fromtimestamp(time, zone).strftime(form)))
        time += step
    return found
