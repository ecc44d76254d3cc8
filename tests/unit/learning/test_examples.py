"""What is wrong with an example, and whether there are enough of them."""

from __future__ import annotations

import numpy as np
import pytest

from earmark.audio.types import Samples
from earmark.learning.examples import Example, bad_labels, fault, silence, too_few
from tests.signals import noise, tone

RATE = 16000


def example(seconds: float, peak: float = 0.5) -> Example:
    length = int(seconds * RATE)
    return Example(np.concatenate([noise(RATE, -60), tone(length, 300, peak=peak)]), RATE, RATE + length, "x.wav")


def test_a_word_of_half_a_second_is_good() -> None:
    assert fault(example(0.5), RATE, RATE) == ""


def constant(length: int, value: float = 0.0) -> Samples:
    return np.full(length, value, np.float32)


def square(length: int, peak: float) -> Samples:
    """A square wave, whose level is that of its peak."""
    return np.resize(np.array([peak, -peak], np.float32), length)


@pytest.mark.parametrize(
    ("length", "window", "rate", "sentence"),
    [
        (24000, 16000, 16000, ""),
        (24001, 16000, 16000, "x.wav: lasts 1.5 s; 1.5 s is the most, for the model hears 1 s"),
        (32000, 16000, 16000, "x.wav: lasts 2.0 s; 1.5 s is the most, for the model hears 1 s"),
        (24001, 16000, 8000, "x.wav: lasts 3.0 s; 3.0 s is the most, for the model hears 2 s"),
        (90000, 20000, 8000, "x.wav: lasts 11.2 s; 3.8 s is the most, for the model hears 2.5 s"),
    ],
)
def test_what_lasts_longer_than_one_and_a_half_windows_is_too_long(
    length: int, window: int, rate: int, sentence: str
) -> None:
    assert fault(Example(constant(3 * 90000), 70000, 70000 + length, "x.wav"), window, rate) == sentence


@pytest.mark.parametrize(
    ("count", "value", "sentence"),
    [
        (20, 1.0, ""),
        (21, 1.0, "x.wav: is clipped (0.2% of it at full scale); turn the microphone down"),
        (26, -1.0, "x.wav: is clipped (0.3% of it at full scale); turn the microphone down"),
        (26, 0.999, "x.wav: is clipped (0.3% of it at full scale); turn the microphone down"),
        (10_000, 0.998, ""),
        (10_000, 1.0, "x.wav: is clipped (100.0% of it at full scale); turn the microphone down"),
    ],
)
def test_more_than_two_samples_in_a_thousand_at_full_scale_are_clipping(
    count: int, value: float, sentence: str
) -> None:
    sound = np.concatenate([constant(500), constant(count, value), constant(10_500 - count)])
    assert fault(Example(sound, 500, 10_500, "x.wav"), 10_000, 1000) == sentence


def test_clipping_outside_of_the_example_does_not_count() -> None:
    good = example(0.5)
    good.samples[:1000] = 1.0
    assert fault(good, RATE, RATE) == ""


SPEECHLESS = "no speech is heard in it; for sounds other than speech there is --gate level"


@pytest.mark.parametrize(
    ("samples", "sentence"),
    [
        (constant(0), "is silent (its loudest moment is 120 dB below full scale)"),
        (constant(RATE), "is silent (its loudest moment is 120 dB below full scale)"),
        (square(RATE, 10 ** (-60.1 / 20)), "is silent (its loudest moment is 60 dB below full scale)"),
        (square(RATE, 10 ** (-59.9 / 20)), SPEECHLESS),
        (noise(RATE, -30), SPEECHLESS),
    ],
)
def test_below_60_db_a_recording_is_silent_and_above_it_is_without_speech(samples: Samples, sentence: str) -> None:
    assert silence(samples, RATE, "speech") == sentence


def test_a_gate_for_sounds_finds_nothing_that_stands_out() -> None:
    assert silence(noise(RATE, -30), RATE, "level") == "nothing in it stands out of its background"
    assert silence(constant(RATE), RATE, "level") == "is silent (its loudest moment is 120 dB below full scale)"


@pytest.mark.parametrize(
    ("rate", "at", "length", "is_silent"),
    [
        (16000, 1024, 512, False),  # one step of 32 ms
        (16000, 15872, 128, False),  # what is left at the end is a step too
        (16000, 0, 512, False),
        (16000, 1280, 512, True),  # half of it in each of two steps
        (16000, 1024, 256, True),
        (8000, 1024, 256, False),
    ],
)
def test_the_loudest_moment_is_the_loudest_step_of_32_ms(rate: int, at: int, length: int, is_silent: bool) -> None:
    samples = constant(RATE)
    samples[at : at + length] = square(length, 10 ** (-59 / 20))
    assert silence(samples, rate, "speech").startswith("is silent (its loudest moment is 62 dB" if is_silent else "no")


def test_nine_examples_are_too_few_and_ten_are_enough() -> None:
    assert too_few({"lamp": 10, "curtain": 12}) == ""
    assert too_few({}) == ""
    assert too_few({"lamp": 3, "fan": 2}, 3) == "fan: 2 examples, 3 are needed; record 1 more"
    said = too_few({"lamp": 7, "fan": 10, "door": 0, "cat": 1})
    assert said == (
        "lamp: 7 examples, 10 are needed; record 3 more; door: no examples, 10 are needed; record 10 more; "
        "cat: 1 example, 10 are needed; record 9 more"
    )


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (["lamp", "lights off"], ""),
        (["a_b", "lamp_"], ""),
        (["चिड़िया", "क्\u200dष", "می\u200cروم", "👩\u200d🚒"], ""),
        ([], "there is no label to learn; name one with --label, or give a folder with a folder for each label"),
        (["_unknown_"], "'_unknown_' cannot be a label: names that begin with _ are Earmark's own"),
        (["lamp", "_"], "'_' cannot be a label: names that begin with _ are Earmark's own"),
        ([" "], "' ' cannot be a label"),
        ([""], "'' cannot be a label"),
        (["la\u200cmp"], r"'la\u200cmp' cannot be a label"),
        (["a\nb"], "'a\\nb' cannot be a label"),
        (["lamp", "\x1b[2J"], "'\\x1b[2J' cannot be a label"),
    ],
)
def test_labels_that_could_not_be_told_apart_from_ours_are_refused(labels: list[str], sentence: str) -> None:
    assert bad_labels(labels) == sentence
