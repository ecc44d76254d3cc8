"""The report: one page in HTML about a session, with nothing outside itself and no script. Pure.

Whatever comes from a daemon or a person is escaped: names of labels and devices, notes, causes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from earmark_client.report.style import STYLE
from earmark_client.report.svg import colour, drawing
from earmark_client.sessions.session import Session
from earmark_client.sessions.stretches import Shares, Span, Stretch, shares, transitions
from earmark_client.sessions.timeline import Timeline
from earmark_client.sessions.words import NOT_A_MEASUREMENT, clock, escape, lasted, letters, percent

MOST_LABELS = 12  # in a matrix
MOST_ROWS = 200  # of losses


@dataclass(frozen=True, slots=True)
class Facts:
    """What the page says of its origin. Times are local, or in `zone`."""

    daemon: str = ""
    zone: tzinfo | None = None


def page(session: Session, end: float, facts: Facts) -> str:
    """Return the page about the session up to `end`."""
    zone = facts.zone
    begins = day(session.begin, zone)
    till = clock(end, zone) if day(end, zone) == begins else f"{day(end, zone)}, {clock(end, zone)}"
    title = f"What was heard on {begins}"
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="sub">{escape(begins)}, {clock(session.begin, zone)} to {till} ({_zone(session.begin, zone)})'
        f" · {lasted(end - session.begin)}{f' · heard by {escape(facts.daemon)}' if facts.daemon else ''}</p>",
        f'<p class="notice">{escape(NOT_A_MEASUREMENT)}</p>',
        *(_section(session, timeline, end, zone) for timeline in session.timelines.values()),
        _marks(session, end, zone),
        _losses(session, end, zone),
        _parameters(session, end, zone),
    ]
    if not session.timelines:
        parts.insert(3, "<p>No source was classified in this time.</p>")
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)} · Earmark</title><style>{STYLE}</style></head>\n<body><main>\n"
        + "\n".join(part for part in parts if part)
        + "\n</main></body></html>\n"
    )


def day(time: float, zone: tzinfo | None) -> str:
    """Return `22 November 2026`."""
    moment = datetime.fromtimestamp(time, zone)
    return f"{moment.day} {moment:%B %Y}"


def _zone(time: float, zone: tzinfo | None) -> str:
    offset = datetime.fromtimestamp(time, zone).astimezone(zone).strftime("%z")
    return f"times are UTC{offset[:3]}:{offset[3:]}" if offset != "+0000" else "times are UTC"


def _section(session: Session, timeline: Timeline, end: float, zone: tzinfo | None) -> str:
    stretches = timeline.stretches(end)
    spent = shares(stretches)
    order = sorted(spent.labels, key=lambda label: -spent.labels[label])
    return "\n".join(
        [
            f"<section><h2>{escape(timeline.source)} <span>{escape(timeline.classifier)}</span></h2>",
            f"<p>{_sentence(spent, order)}</p>",
            drawing(stretches, order, timeline, session.marks, session.begin, end, zone),
            _key(stretches, session),
            f'<div class="pair">{_shares(session, timeline, spent, order, end)}{_matrix(stretches, order)}</div>',
            "</section>",
        ]
    )


def _sentence(spent: Shares, order: Sequence[str]) -> str:
    heard = f"Earmark listened for {lasted(spent.listened)}"
    missing = f", and not for {lasted(spent.unheard)}" if spent.unheard >= 0.05 else ""
    if not order:
        return f"{heard}{missing}. No label was on."
    some = 1 - spent.none / spent.listened if spent.listened else 0.0
    best = f"<strong>{escape(order[0])}</strong> ({percent(spent.of(order[0]))})"
    return f"{heard}{missing}. A label was on for {percent(some)} of that time, for the longest {best}."


def _key(stretches: Iterable[Stretch], session: Session) -> str:
    whys = list(dict.fromkeys(stretch.unheard for stretch in stretches if stretch.unheard))
    hatched = f'<span class="hatch"></span> nobody listened: {escape(", ".join(whys))}' if whys else ""
    numbered = '<span class="flag"></span> marked moments' if session.marks else ""
    told = " ".join(f"<span>{each}</span>" for each in (hatched, numbered) if each)
    return f'<p class="key">{told}</p>' if told else ""


def _shares(session: Session, timeline: Timeline, spent: Shares, order: Sequence[str], end: float) -> str:
    thresholds = session.thresholds.get(timeline.classifier, {})
    spans = [*timeline.spans, *timeline.on.values()]
    times = Counter(span.label for span in spans if _within(span, timeline.begin, end))
    rows = [
        f"<tr><th>{_swatch(timeline, label)}{escape(label)}</th>"
        f"<td>{_bar(spent.of(label), colour(timeline, label))}</td>"
        f"<td>{percent(spent.of(label))}</td><td>{lasted(spent.labels[label])}</td><td>{times[label]}</td>"
        f"<td>{_score(timeline.peaks.get(label))}</td><td>{_score(thresholds.get(label))}</td></tr>"
        for label in order
    ]
    none = spent.none / spent.listened if spent.listened else 0.0
    rows.append(
        f'<tr class="none"><th><i></i>no label</th><td>{_bar(none, "none")}</td><td>{percent(none)}</td>'
        f"<td>{lasted(spent.none)}</td><td></td><td></td><td></td></tr>"
    )
    never = [label for label in timeline.labels if label not in spent.labels]
    ignored = [label for label in never if thresholds and label not in thresholds]
    told = (("Never on", [label for label in never if label not in ignored]), ("Scored, but never put on", ignored))
    rest = "".join(f'<p class="small">{each}: {escape(", ".join(names))}.</p>' for each, names in told if names)
    return (
        "<div><h3>Share of the time that was listened to</h3><table><thead><tr><th>label</th><th></th><th>share</th>"
        "<th>time</th><th>times</th><th>highest</th><th>on at</th></tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table>{rest}</div>"
    )


def _within(span: Span, begin: float, end: float) -> bool:
    return span.start < end and (span.end is None or span.end > begin)


def _score(score: float | None) -> str:
    return "" if score is None else f"{score:.2f}"


def _swatch(timeline: Timeline, label: str) -> str:
    letter = letters([*timeline.labels, *([] if label in timeline.labels else [label])])[label]
    return f'<i class="{colour(timeline, label)}">{letter}</i>'


def _bar(part: float, name: str) -> str:
    return (
        f'<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="{name}" width="{part * 100:.2f}" height="10"/></svg>'
    )


def _matrix(stretches: Sequence[Stretch], order: Sequence[str]) -> str:
    counts = transitions(stretches)
    names = [label for label in order if any(label in pair for pair in counts)][:MOST_LABELS]
    if not names:
        return ""
    most = max(counts.values())
    wide = ' class="wide"' if len(names) > 8 else ""
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    rows = []
    for one in names:
        cells = []
        for other in names:
            count = counts[one, other]
            shade = f' style="--heat:{round(12 + 58 * count / most)}%"' if count else ""
            cells.append(f"<td{shade}>{count or '·'}</td>")
        rows.append(f"<tr><th>{escape(one)}</th>{''.join(cells)}</tr>")
    return (
        f"<div{wide}><h3>What followed what</h3>"
        f'<table class="matrix"><thead><tr><th>from \\ to</th>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
        '<p class="small">How often the label of the row was followed by that of the column, also after a time without'
        " a label, but not over a time in which nobody listened.</p></div>"
    )


def _marks(session: Session, end: float, zone: tzinfo | None) -> str:
    marks = [mark for mark in session.marks if mark.time <= end]
    if not marks:
        return ""
    rows = []
    for number, mark in enumerate(marks, 1):
        on = [
            f"{timeline.source} {timeline.classifier}: {stretch.label}"
            for timeline in session.timelines.values()
            for stretch in timeline.stretches(end)
            if stretch.label and stretch.start <= mark.time < stretch.end
        ]
        rows.append(
            f"<tr><td>{number}</td><td>{clock(mark.time, zone)}</td><td>{escape(mark.note)}</td>"
            f"<td>{escape('; '.join(on)) or 'no label'}</td></tr>"
        )
    return (
        "<section><h2>Marked moments</h2><table><thead><tr><th></th><th>time</th><th>note</th><th>what was on</th></tr>"
        f"</thead><tbody>{''.join(rows)}</tbody></table></section>"
    )


def _losses(session: Session, end: float, zone: tzinfo | None) -> str:
    found: list[tuple[float, float, str, str]] = [
        (loss.start, loss.end, loss.source, f"sound was lost: {loss.cause}" if loss.source else loss.cause)
        for loss in session.losses
    ]
    told = {cause for *_, cause in found}
    for timeline in session.timelines.values():
        for stretch in timeline.stretches(end):
            if stretch.unheard and stretch.unheard not in told:
                found.append((stretch.start, stretch.end, timeline.source, f"not heard: {stretch.unheard}"))
    found = sorted(set(found))
    if not found:
        return "<section><h2>What is missing</h2><p>Nothing: Earmark listened all the time.</p></section>"
    rows = [
        f"<tr><td>{clock(start, zone)}</td><td>{lasted(stop - start)}</td><td>{escape(source) or 'all'}</td>"
        f"<td>{escape(cause)}</td></tr>"
        for start, stop, source, cause in found[:MOST_ROWS]
    ]
    more = f'<p class="small">And {len(found) - MOST_ROWS} more.</p>' if len(found) > MOST_ROWS else ""
    return (
        "<section><h2>What is missing</h2><table><thead><tr><th>from</th><th>for</th><th>source</th><th>why</th></tr>"
        f"</thead><tbody>{''.join(rows)}</tbody></table>{more}</section>"
    )


def _parameters(session: Session, end: float, zone: tzinfo | None) -> str:
    seen: dict[str, Timeline] = {}
    for timeline in session.timelines.values():
        seen.setdefault(timeline.classifier, timeline)
    rows = []
    for name, timeline in seen.items():
        thresholds = session.thresholds.get(name, {})
        told = ", ".join(f"{label} {value:.2f}" for label, value in thresholds.items()) or "not told"
        every = f", every {timeline.hop:g} s" if timeline.hop else ""
        windows = f"{timeline.mode}, {timeline.window:g} s{every}" if timeline.window else timeline.mode
        dropped = f"; the oldest {timeline.dropped} labels are not in this page" if timeline.dropped else ""
        rows.append(
            f"<tr><th>{escape(name)}</th><td>{escape(timeline.model)}</td><td>{escape(windows)}</td>"
            f"<td>{escape(timeline.gate)}</td><td>{escape(told + dropped)}</td></tr>"
        )
    version = f" Earmark {escape(session.version)}." if session.version else ""
    return (
        "<section><h2>How it was heard</h2><table><thead><tr><th>classifier</th><th>model</th><th>windows</th>"
        "<th>gate</th><th>labels that can go on, and the score at which they do</th></tr></thead>"
        f'<tbody>{"".join(rows)}</tbody></table><p class="small">A label counts from the beginning of its sound to its'
        " end; of several that are on at once, the one that began last counts. Shares are parts of the time that was"
        f" listened to.{version}</p></section>"
    )
