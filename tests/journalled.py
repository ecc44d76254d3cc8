"""Events as the journal gets them, for its tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from earmark.broadcast.publisher import rfc3339
from earmark.broadcast.sink import Published
from earmark.protocol.events import Label, Loss, Numbered, Result, Score, Source, encode

BEGINNING = datetime(2026, 11, 22, 7, 0, tzinfo=UTC)


def when(second: float) -> datetime:
    """The time of an event in the tests, from seconds."""
    return BEGINNING + timedelta(seconds=second)


def published(event: Numbered, on_score: float | None = None) -> Published:
    return Published(event, encode(event), on_score)


def result(
    seq: int,
    label: str = "happy",
    score: float = 0.8,
    *,
    at: float | None = None,
    source: str = "desk",
    classifier: str = "emotion",
    suppressed: str = "",
) -> Published:
    """A result whose time is `at` seconds, by default as many as its number."""
    scores = (Score(score, label), Score(0.1, "other"))
    time = rfc3339(when(seq if at is None else at))
    return published(Result(seq, time, source, classifier, 1.0, 2.0, result=scores, suppressed=suppressed))


def label(seq: int, word: str = "happy", state: str = "on", score: float = 0.8) -> Published:
    time = rfc3339(when(seq))
    if state == "on":
        return published(Label(seq, time, "desk", "emotion", f"e-{seq}", word, "on", 1.0, score=score))
    off = Label(seq, time, "desk", "emotion", f"e-{seq}", word, "off", 1.0, end=2.0, peak=score, reason="quiet")
    return published(off, score)


def source(seq: int, name: str = "desk") -> Published:
    return published(Source(seq, rfc3339(when(seq)), name, "lost"))


def loss(seq: int) -> Published:
    return published(Loss(seq, rfc3339(when(seq)), "desk", 1.0, 2.0, "device"))
