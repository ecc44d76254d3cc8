"""What is wrong with an example, and whether there are enough of them."""

from __future__ import annotations

import numpy as np
import pytest

from earmark.core.takes import CLIPPED, LONGEST, Take, bad_labels, fault, silence, too_few
from tests.signals import noise, tone

RATE = 16000


def take(seconds: float, peak: float = 0.5) -> Take:
    length = int(seconds * RATE)
    return Take(np.concatenate([noise(RATE, -60), tone(length, 300, peak=peak)]), RATE, RATE + length, "x.wav")


def test_a_word_of_half_a_second_is_good() -> None:
    assert fault(take(0.5), RATE, RATE) == ""


def test_what_lasts_longer_than_one_and_a_half_windows_is_too_long() -> None:
    assert fault(take(LONGEST), RATE, RATE) == ""
    assert fault(take(2.0), RATE, RATE) == "x.wav: lasts 2.0 s; 1.5 s is the most, for the model hears 1 s"


def test_a_take_at_full_scale_is_clipped_and_one_sample_there_is_not() -> None:
    assert "x.wav: is clipped (" in fault(take(0.5, peak=1.2), RATE, RATE)
    good = take(0.5)
    good.samples[RATE + 100 : RATE + 100 + int(CLIPPED * RATE / 2)] = 1.0
    assert fault(good, RATE, RATE) == ""
    good.samples[RATE + 100 : RATE + 102 + int(CLIPPED * RATE / 2)] = -1.0
    assert fault(good, RATE, RATE) != ""


def test_clipping_outside_of_the_take_does_not_count() -> None:
    good = take(0.5)
    good.samples[:1000] = 1.0
    assert fault(good, RATE, RATE) == ""


def test_a_silent_recording_is_told_from_one_without_speech() -> None:
    assert silence(noise(RATE, -70), RATE, "speech").startswith("is silent (its loudest moment is ")
    assert (
        silence(np.zeros(0, np.float32), RATE, "speech") == "is silent (its loudest moment is 120 dB below full scale)"
    )
    assert silence(noise(RATE, -30), RATE, "speech").startswith("no speech is heard in it")
    assert silence(noise(RATE, -30), RATE, "level") == "nothing in it stands out of its background"


def test_nine_examples_are_too_few_and_ten_are_enough() -> None:
    assert too_few({"lamp": 10, "curtain": 12}) == ""
    said = too_few({"lamp": 7, "fan": 10, "door": 0, "cat": 1})
    assert said == (
        "lamp: 7 examples, 10 are needed; record 3 more; door: no examples, 10 are needed; record 10 more; "
        "cat: 1 example, 10 are needed; record 9 more"
    )


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (["lamp", "lights off"], ""),
        ([], "there is no label to learn"),
        (["_unknown_"], "'_unknown_' cannot be a label: names that begin with _ are Earmark's own"),
        ([" "], "' ' cannot be a label"),
        (["a\nb"], "cannot be a label"),
    ],
)
def test_labels_that_could_not_be_told_apart_from_ours_are_refused(labels: list[str], sentence: str) -> None:
    assert (
        bad_labels(labels).startswith(sentence) if sentence != "cannot be a label" else sentence in bad_labels(labels)
    )
    assert bool(bad_labels(labels)) == bool(sentence)
