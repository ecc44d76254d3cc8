from __future__ import annotations

import pytest

from earmark.inference.engine import Phase
from earmark.supervision.progress import (
    MICROPHONE_SECONDS,
    ROUND_SECONDS,
    SERVING_SECONDS,
    STARTING_SECONDS,
    Signs,
    stuck,
)

WELL = Signs(round=0.1, phase="ready", worker=0.5, microphones={"desk": 0.1, "door": 0.2})


def test_a_daemon_in_which_everything_moves_is_not_stuck() -> None:
    assert stuck(WELL) == []


@pytest.mark.parametrize("phase", ["starting", "restarting", "failed"])
def test_a_model_process_that_is_being_replaced_makes_progress(phase: Phase) -> None:
    assert stuck(Signs(0, phase, STARTING_SECONDS)) == []


@pytest.mark.parametrize(
    ("signs", "said"),
    [
        (Signs(ROUND_SECONDS + 0.1, "ready", 0), "the segmenter thread has made no round for 10 s"),
        (Signs(0, "unresponsive", 0), "the model process does not answer"),
        (Signs(0, "ready", SERVING_SECONDS + 1), "the model process (ready) has not moved for 46 s"),
        (Signs(0, "loading", SERVING_SECONDS + 1), "the model process (loading) has not moved for 46 s"),
        (Signs(0, "restarting", STARTING_SECONDS + 1), "the model process (restarting) has not moved for 401 s"),
        (Signs(0, "ready", 0, {"desk": 26.0, "door": 0.0}), "nobody has looked after the microphone desk for 26 s"),
    ],
)
def test_each_part_that_does_not_move_is_named(signs: Signs, said: str) -> None:
    assert stuck(signs) == [said]


def test_the_limits_themselves_are_still_well() -> None:
    assert stuck(Signs(ROUND_SECONDS, "ready", SERVING_SECONDS, {"desk": MICROPHONE_SECONDS})) == []


def test_all_that_is_stuck_is_named() -> None:
    assert len(stuck(Signs(99, "unresponsive", 0, {"desk": 99, "door": 99}))) == 4
