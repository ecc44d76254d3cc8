"""What is to be heard in a recording, from a table, and what of it was heard."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from earmark.errors import ConfigError
from earmark.hints import did_you_mean
from earmark.tuning.replay import Detection

SLACK_SECONDS = 0.5  # by which a detection may lie beside the sound


@dataclass(frozen=True, slots=True)
class Truth:
    """A label that is to be heard from `start` to `end` seconds."""

    label: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Tally:
    """How the detections of one label compare with the truth."""

    hits: int = 0
    misses: int = 0
    false: int = 0

    @property
    def errors(self) -> int:
        return self.misses + self.false


def parse_truth(text: str, name: str, labels: Sequence[str]) -> tuple[Truth, ...]:
    """Return the rows of a CSV file with the columns start, end and label. Raises ConfigError, which names the line."""
    rows = csv.DictReader(text.removeprefix("\ufeff").splitlines(), skipinitialspace=True)
    columns = [column.strip() for column in rows.fieldnames or ()]
    if not {"start", "end", "label"} <= {*columns}:
        raise ConfigError(f"{name}: its first line must name the columns start,end,label, not {','.join(columns)}")
    rows.fieldnames = columns
    found = []
    for row in rows:
        where = f"{name}: line {rows.line_num}"
        try:
            start, end = float(row["start"] or ""), float(row["end"] or "")
        except ValueError:
            raise ConfigError(
                f"{where}: start and end must be seconds, not {row['start']!r} and {row['end']!r}"
            ) from None
        if not 0 <= start <= end < float("inf"):
            raise ConfigError(f"{where}: {start:g} to {end:g} is no stretch of time")
        label = (row["label"] or "").strip()
        if label not in labels:
            hint = did_you_mean(label, labels) or f"known are {', '.join(labels)}"
            raise ConfigError(f'{where}: there is no label "{label}"; {hint}')
        found.append(Truth(label, start, end))
    return tuple(found)


def tally(truth: Iterable[Truth], detections: Iterable[Detection]) -> Tally:
    """Compare the truth and the detections of one label. Each detection is a hit of one place at most."""
    left = sorted(detections, key=lambda each: each.start)
    hits = misses = 0
    for place in sorted(truth, key=lambda each: each.start):
        near = [
            each for each in left if each.start <= place.end + SLACK_SECONDS and each.end >= place.start - SLACK_SECONDS
        ]
        if near:
            # what goes on and off again within one place is one hit: the label was there all the time
            inside = [each for each in near if each.end <= place.end + SLACK_SECONDS]
            gone = inside or near[:1]
            left = [each for each in left if each not in gone]
            hits += 1
        else:
            misses += 1
    return Tally(hits, misses, len(left))
