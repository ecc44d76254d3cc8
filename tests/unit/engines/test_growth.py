from __future__ import annotations

import pytest

from earmark.engines.growth import Growth, Verdict


def grown(bound: int = 100, models: int = 40, began: int = 40) -> Growth:
    growth = Growth(bound)
    growth.loaded(models)
    growth.began(began)
    return growth


@pytest.mark.parametrize(
    ("began", "now", "verdict"),
    [
        (40, 100, "fits"),
        (40, 101, "guilty"),
        (71, 101, "guilty"),  # half of the 60 that the models left
        (72, 101, "outgrown"),
        (99, 101, "outgrown"),
        (99, 129, "guilty"),
    ],
)
def test_a_batch_is_to_blame_for_memory_if_it_alone_took_half_of_the_room(
    began: int, now: int, verdict: Verdict
) -> None:
    assert grown(began=began).judge(now) == verdict


@pytest.mark.parametrize(("models", "fits", "verdict"), [(99, True, "guilty"), (100, False, "fits")])
def test_a_process_whose_models_leave_no_room_is_not_judged(models: int, fits: bool, verdict: Verdict) -> None:
    growth = grown(models=models, began=models)
    assert (growth.fits, growth.judge(500)) == (fits, verdict)
