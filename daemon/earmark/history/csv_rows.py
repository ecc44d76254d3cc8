"""Events as CSV: one row an event, one column a label."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence

from earmark.broadcast.sink import Published
from earmark.columns import cell
from earmark.protocol.events import ClassifierInfo, Config, Label, Loss, Numbered, Result, Source, type_of

FIELDS = ("seq", "time", "type", "source", "classifier", "label", "score", "state", "start", "end", "detail")
"""The first columns. `label` and `score` are those of a label event, or the best ones of a result."""


def labels_of(classifiers: Iterable[ClassifierInfo], chosen: frozenset[str]) -> tuple[str, ...]:
    """Return the labels that have a column: those of the `chosen` classifiers, of all if none is, in their order."""
    return tuple(
        dict.fromkeys(label for each in classifiers if not chosen or each.name in chosen for label in each.labels)
    )


def csv_text(events: Iterable[Published], labels: Sequence[str], top_k: int | None = None) -> str:
    """Return the header and a row for each event; `top_k` limits the scores of a result.

    The cell of a label has its score in the row of a result, and `on` or `off` in that of a label event. A label with
    the name of another column has the column `label:NAME`. No text is a formula of a spreadsheet.
    """
    lines = _Lines()
    writer = csv.writer(lines)
    writer.writerow([*FIELDS, *(f"label:{label}" if label in FIELDS else cell(label) for label in labels)])
    for published in events:
        event = published.event
        cells = _cells(event, top_k)
        writer.writerow([*map(cell, _fields(event)), *(cells.get(label, "") for label in labels)])
    return "".join(lines)


class _Lines(list[str]):
    """What csv.writer writes to."""

    write = list[str].append


def _fields(event: Numbered) -> tuple[object, ...]:
    head = (event.seq, event.time, type_of(event))
    match event:
        case Result(result=scores):
            label, score = (scores[0].label, scores[0].score) if scores else ("", "")
            sound = (event.start, event.end)
            return *head, event.source, event.classifier, label, score, "", *sound, event.suppressed
        case Label():
            end = "" if event.end is None else event.end
            score = "" if event.score is None else event.score
            told = (event.label, score, event.state, event.start, end, event.reason or "")
            return *head, event.source, event.classifier, *told
        case Source():
            return *head, event.source, "", "", "", event.state, "", "", event.detail
        case Loss():
            return *head, event.source, event.classifier, "", "", "", event.start, event.end, event.cause
        case Config():
            return *head, "", "", "", "", "", "", "", event.cause


def _cells(event: Numbered, top_k: int | None) -> dict[str, object]:
    if isinstance(event, Result):
        return {each.label: each.score for each in event.result[:top_k]}
    return {event.label: event.state} if isinstance(event, Label) else {}
