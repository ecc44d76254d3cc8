from __future__ import annotations

import numpy as np

from earmark.config.settings import Decide
from earmark.deciding.judged import Judged
from earmark.deciding.rules import rules
from earmark.tuning.replay import Detection, ScoredWindow, SoundEnded, Step, decide_again
from earmark.tuning.report import curve

LABELS = ("happy", "sad")


def windows(happy: str) -> list[Step]:
    """A window each second, whose scores for happy are these tenths."""
    return [
        ScoredWindow(
            Judged(1000 * place, 1000 * (place + 1), 1000 * (place + 1), 1.0, False, False),
            np.array([int(tenth) / 10, 1 - int(tenth) / 10], np.float32),
        )
        for place, tenth in enumerate(happy)
    ]


def test_a_label_that_lasts_is_decided_again_with_another_threshold() -> None:
    settings = Decide(on=0.8, off=0.5, hits=1, smooth=1, min_on=0.0, ignore=("sad",))
    steps = [*windows("1993"), SoundEnded(4000, "quiet")]
    found = decide_again(steps, rules(LABELS, settings), sliding=True)
    assert found.detections == (Detection("happy", 1.0, 4.0, 0.9),)
    higher = Decide(on=0.95, off=0.5, hits=1, smooth=1, ignore=("sad",))
    assert decide_again(steps, rules(LABELS, higher), sliding=True).detections == ()


def test_what_is_on_at_the_end_of_the_recording_is_a_detection() -> None:
    settings = Decide(on=0.8, off=0.5, hits=1, smooth=1, min_on=0.0, ignore=("sad",))
    found = decide_again(windows("199"), rules(LABELS, settings), sliding=True)
    assert [each.end for each in found.detections] == [3.0]


def test_a_command_that_comes_too_soon_again_is_told_with_the_reason() -> None:
    settings = Decide(on=0.8, refractory_ms=5000, ignore=("sad",))
    found = decide_again(windows("19191"), rules(LABELS, settings), sliding=False)
    assert [(each.label, each.start, each.end) for each in found.detections] == [("happy", 1.0, 2.0)]
    assert [(each.start, each.reason) for each in found.rejections] == [(3.0, "refractory")]


def test_the_curve_shows_the_highest_score_of_each_place_and_gaps() -> None:
    assert curve(windows("09"), 0, 4.0, width=4) == " ▁█ "
