"""Deciders by rules that are easy to compute, and what they are told, for tests of decisions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from earmark.audio.types import Floats
from earmark.config import settings as config
from earmark.deciding.rules import Decision, Off, On, Rules, SecondRules, rules
from earmark.deciding.sliding import SlidingDecider
from earmark.deciding.utterances import UtteranceDecider
from earmark.protocol.events import OffReason, Why

# Scores and thresholds that must meet exactly are sums of powers of two, which floats hold exactly.

HOUR = 3600.0  # rules are about how long something lasted, not about when it was: most tests begin an hour in


def moment(seconds: float) -> int:
    """Return a time or a duration as the decider counts it."""
    return round(seconds * 1000)


def probabilities(*scores: float) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.array(scores, dtype=np.float32)


def hear(
    decider: SlidingDecider | UtteranceDecider,
    start: float,
    end: float,
    *scores: float,
    final: bool = False,
    continued: bool = False,
    looked: Floats | None = None,
) -> list[Decision]:
    """What is decided on the window or utterance from `start` to `end` seconds."""
    heard = probabilities(*scores)
    return decider.scored(moment(start), moment(end), heard, final=final, continued=continued, looked=looked)


def end(decider: SlidingDecider | UtteranceDecider, at: float, reason: OffReason = "quiet") -> list[Decision]:
    return decider.ended(moment(at), reason)


def on(label: str, score: float, start: float, why: Why, end: float | None = None) -> On:
    return On(label, score, moment(start), why, None if end is None else moment(end))


def off(label: str, reason: OffReason, start: float, end: float, peak: float, on_score: float) -> Off:
    return Off(label, reason, moment(start), moment(end), peak, on_score)


def made(
    labels: tuple[str, ...], *, gate: str, own: dict[str, float] | None = None, refractory: float = 0.0, **more: object
) -> Rules:
    """Rules that hold nothing back but for `more`; `own` are thresholds of single labels, `refractory` is seconds."""
    settings: dict[str, object] = {"margin": 0.0, "smooth": 1, "hits": 1, "ignore": ()} | more
    chosen = config.Decide(labels=own or {}, refractory_ms=moment(refractory), **settings)  # type: ignore[arg-type]
    return rules(labels, chosen, gate=gate)


def what(decisions: list[Decision]) -> list[tuple[str, str]]:
    """The label, and `on` or the reason."""
    return [(item.label, "on" if isinstance(item, On) else item.reason) for item in decisions]


def words(**changes: object) -> UtteranceDecider:
    settings: dict[str, object] = {
        "labels": ("stop", "go", "_unknown_"),
        "on": 0.6, "off": 0.45, "ignore": ("_unknown_",), "margin": 0.1, "refractory": 0.4,
        "gate": "speech",
    }  # fmt: skip
    return UtteranceDecider(made(**(settings | changes)))  # type: ignore[arg-type]


def moods(**changes: object) -> SlidingDecider:
    settings: dict[str, object] = {
        "labels": ("happy", "sad"),
        "gate": "open", "on": 0.6, "off": 0.4, "hits": 2,
    }  # fmt: skip
    return SlidingDecider(made(**(settings | changes)))  # type: ignore[arg-type]


def play(decider: SlidingDecider, *scores: tuple[float, ...], since: float = HOUR) -> list[tuple[float, str, str]]:
    """One window of three seconds a second; (end of the window in seconds since the first began, label, what)."""
    told: list[tuple[float, str, str]] = []
    for index, row in enumerate(scores):
        end = 3.0 + index
        told += [(end, *item) for item in what(hear(decider, since + end - 3, since + end, *row))]
    return told


def twice(*sure: float, needed: float = 0.5) -> SecondRules:
    """A second look is needed below `sure`, which is a score per label."""
    return SecondRules("a/second", probabilities(*sure), needed)


def checked(decider: type[SlidingDecider] | type[UtteranceDecider], **changes: object) -> Any:
    """A decider for stop and go, of which stop needs a second look below 0.9."""
    settings: dict[str, object] = {"on": 0.6, "off": 0.4, "gate": "speech"} | changes
    return decider(replace(made(("stop", "go"), **settings), second=twice(0.9, 0)))  # type: ignore[arg-type]


def aged(**more: object) -> Rules:
    """Rules of a model that answers with an age, a value, and with two probabilities."""
    chosen = config.Decide(**({"on": 0.5, "off": 0.25, "smooth": 1, "hits": 1, "margin": 0.25} | more))  # type: ignore[arg-type]
    return rules(("age", "female", "male"), chosen, values={"age"})
