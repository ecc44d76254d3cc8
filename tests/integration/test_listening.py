"""From blocks to windows on the real segmenter thread with the real VAD; no model."""

from __future__ import annotations

import itertools
import queue
import threading
from concurrent.futures import Future

import numpy as np
import pytest
import soxr

from earmark.audio.types import Samples
from earmark.capture.intake import Intake
from earmark.windowing.messages import AudioLost, GateClosed, Message, SourceChanged, SourceEnded
from earmark.windowing.segmenter import Segmenter
from earmark.windowing.windows import SlidingWindows
from tests.listening import RATE, always, classifier_input, listen, recording, windows
from tests.signals import Word, demo, noise, ramp, tone


@pytest.fixture(scope="module")
def spoken() -> tuple[Samples, list[Word]]:
    samples, rate, words = demo()
    assert rate == RATE
    return samples, words


def test_each_word_is_one_utterance_with_its_true_start_and_end(spoken: tuple[Samples, list[Word]]) -> None:
    samples, words = spoken

    spans = [window.span for window in windows(listen(recording(samples)))]

    assert len(spans) == len(words)
    for span, word in zip(spans, words, strict=True):
        assert span.speech_start / RATE == pytest.approx(word.start, abs=0.15)
        assert span.speech_end / RATE == pytest.approx(word.end, abs=0.15)


@pytest.mark.parametrize("block", [7, 512, 16_000])
def test_windows_do_not_depend_on_how_the_sound_was_cut_into_blocks(
    spoken: tuple[Samples, list[Word]], block: int
) -> None:
    samples = spoken[0][: 6 * RATE]
    expected = windows(listen(recording(samples)))

    got = windows(listen(recording(samples, block=block)))

    assert [window.span for window in got] == [window.span for window in expected]
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_array_equal(one.samples, other.samples)


@pytest.mark.parametrize("block", [320, 16_000])
def test_sliding_windows_do_not_depend_on_it_either(spoken: tuple[Samples, list[Word]], block: int) -> None:
    samples = spoken[0][: 6 * RATE]
    expected = [
        window.span
        for window in windows(listen(recording(samples, block=512), [classifier_input("speech", SlidingWindows)]))
    ]

    got = [
        window.span
        for window in windows(listen(recording(samples, block=block), [classifier_input("speech", SlidingWindows)]))
    ]

    assert got == expected
    assert len(got) > 4


@pytest.mark.parametrize("rate", [8000, 44100, 48000])
def test_other_rates_give_the_same_utterances(rate: int) -> None:
    samples, _, expected = demo(longest=6)
    resampled = soxr.resample(samples, RATE, rate)

    spans = [window.span for window in windows(listen(recording(resampled, rate, block=rate // 50)))]

    assert len(spans) == len(expected) > 2
    for span, word in zip(spans, expected, strict=True):
        assert span.speech_start / RATE == pytest.approx(word.start, abs=0.15)


def test_a_resampled_window_is_what_resampling_offline_gives(spoken: tuple[Samples, list[Word]]) -> None:
    samples = soxr.resample(spoken[0][: 4 * RATE], RATE, 48000)
    offline = soxr.resample(samples, 48000, RATE)

    (first, *_) = windows(listen(recording(samples, 48000, block=960)))

    np.testing.assert_allclose(first.samples, offline[first.span.start : first.span.end], atol=1e-4)


def test_a_300_ms_word_after_silence_is_not_clipped_in_100_of_100_trials(
    spoken: tuple[Samples, list[Word]],
) -> None:
    samples, words = spoken
    short = itertools.cycle([word for word in words if word.label in ("left", "go") and word.end - word.start < 0.42])
    generator = np.random.default_rng(5)
    parts, onsets, at = [], [], 0
    for _ in range(100):
        word = next(short)
        said = samples[int(word.start * RATE) : int(word.start * RATE) + int(0.3 * RATE)]
        pause = int(generator.uniform(0.9, 2.5) * RATE)
        parts += [np.zeros(pause, np.float32), said * 10 ** (generator.uniform(-20, 0) / 20)]
        onsets.append(at + pause)
        at += pause + len(said)
    stream = np.concatenate([*parts, np.zeros(RATE, np.float32)]).astype(np.float32)
    stream += noise(len(stream), -62)

    spans = [window.span for window in windows(listen(recording(stream)))]

    held = [
        any(span.start <= onset - 0.2 * RATE and span.end >= onset + 0.3 * RATE for span in spans) for onset in onsets
    ]
    assert sum(held) == 100


def test_nothing_is_stitched_across_a_gap(spoken: tuple[Samples, list[Word]]) -> None:
    samples, words = spoken
    word = words[0]
    middle = int((word.start + word.end) / 2 * RATE)
    now = [0]

    def play(intake: Intake) -> None:
        intake.begin("a microphone", RATE)
        intake.offer(samples[:middle])
        intake.fail("lost", "unplugged")
        now[0] += 2_000_000_000 + (3 * RATE - middle) * 1_000_000_000 // RATE  # it was away for two seconds
        intake.begin("a microphone", RATE)
        intake.offer(samples[middle : 3 * RATE])
        intake.end()

    messages = listen(play, live=True, clock=lambda: now[0])

    (loss,) = [item for item in messages if isinstance(item, AudioLost)]
    assert (loss.start, loss.end) == (round(middle / RATE, 3), round(middle / RATE + 2, 3))
    assert loss.cause == "device"
    assert [item.change.state for item in messages if isinstance(item, SourceChanged)] == [
        "listening",
        "lost",
        "listening",
        "stopped",
    ]
    for window in windows(messages):
        assert window.span.end <= middle or window.span.speech_start >= middle + 2 * RATE
    closed = [item for item in messages if isinstance(item, GateClosed)]
    assert [item.reason for item in closed if item.at <= middle / RATE] == ["source_lost"]


def test_noise_and_a_tone_are_not_speech_but_sounds() -> None:
    beep = np.concatenate([noise(2 * RATE, -60), tone(RATE, 1000), noise(2 * RATE, -60)])

    assert windows(listen(recording(beep))) == []
    (window,) = windows(listen(recording(beep), [classifier_input("level")]))
    assert window.span.speech_start / RATE == pytest.approx(2.0, abs=0.05)
    assert window.span.speech_end / RATE == pytest.approx(3.0, abs=0.1)


def test_an_open_gate_slides_over_everything() -> None:
    messages = listen(recording(noise(5 * RATE, -60)), [classifier_input("open", SlidingWindows)])

    spans = [window.span for window in windows(messages)]
    assert [span.end for span in spans[:-1]] == [RATE // 2 * count for count in range(2, 10)]
    assert spans[-1].final
    assert all(span.end - span.start == RATE for span in spans)


def test_classifiers_of_different_rates_hear_one_source(spoken: tuple[Samples, list[Word]]) -> None:
    samples = spoken[0][: 3 * RATE]
    low, high = classifier_input(), classifier_input(rate=32000)
    told = windows(listen(recording(samples), [low, high]))

    pairs = {window.rate: window.span for window in told if window.span.speech_start / window.rate < 1.5}
    assert pairs[32000].speech_start == 2 * pairs[16000].speech_start
    assert pairs[32000].end - pairs[32000].start == 32000


def test_the_beginning_of_a_long_utterance_is_as_old_as_its_end() -> None:
    """Its window could not be cut before: counted from its own last sample it would come too late and be lost."""
    samples = np.concatenate([noise(RATE, -75), tone(5 * RATE, 440), noise(RATE, -75)])
    now = 0

    def play(intake: Intake) -> None:
        nonlocal now
        intake.begin("a clock of its own", RATE)
        for start in range(0, len(samples), 320):
            now += 20_000_000
            intake.put(samples[start : start + 320])
        intake.end()

    (window,) = windows(listen(play, [classifier_input("level")], live=True, clock=lambda: now))

    assert window.span.end <= 2 * RATE
    assert window.captured / 1e9 == pytest.approx(window.span.speech_end / RATE, abs=0.05)


def test_a_source_loses_nothing_while_others_come_and_go_change_and_are_read() -> None:
    """On the real thread, which is never idle: one source plays a ramp as fast as its sound is taken."""
    inbox: queue.SimpleQueue[list[Message]] = queue.SimpleQueue()
    segmenter = Segmenter(inbox.put)
    steady = segmenter.add_source("steady", [always()], 20.0, live=True, rates=(RATE,))
    enough, played = threading.Event(), 0

    def play() -> None:
        nonlocal played
        steady.begin("a ramp", RATE)
        while not enough.is_set():
            steady.put(ramp(played, played + 1600))
            played += 1600
        steady.end()

    player = threading.Thread(target=play)
    guests = [f"guest {number}" for number in range(30)]
    messages: list[Message] = []
    readings: list[Future[Samples]] = []
    with segmenter:
        player.start()
        for name in guests:
            guest = segmenter.add_source(name, [classifier_input(), always("other")], 5.0, live=True, rates=(RATE,))
            guest.begin("a device", RATE)
            guest.offer(ramp(0, RATE))
            segmenter.change_classifier(name, always(rate=8000))
            guest.offer(ramp(0, RATE))
            readings.append(segmenter.read(name, 8000, 0, 0))
            segmenter.remove_source(name)
            while SourceEnded(name, "") not in messages:
                messages += inbox.get(timeout=60)
            readings.append(
                segmenter.read("steady", RATE, max(0, played - 100), played)
            )  # there, not yet there or gone again
        enough.set()
        player.join()
        while {item.source for item in messages if isinstance(item, SourceEnded)} != {"steady", *guests}:
            messages += inbox.get(timeout=60)
    heard = [window for window in windows(messages) if window.source == "steady"]
    assert [window.span.end for window in heard[:-1]] == list(range(RATE, heard[-1].span.end, RATE // 2))
    assert heard[-1].span.end == played
    for window in heard:
        np.testing.assert_array_equal(window.samples, ramp(window.span.start, window.span.end))
    assert [item for item in messages if isinstance(item, AudioLost)] == []
    assert len([item for item in messages if isinstance(item, SourceEnded)]) == len(guests) + 1
    for of_guest, of_steady in zip(readings[::2], readings[1::2], strict=True):
        assert len(of_guest.result(0)) == 0
        error = of_steady.exception(0)
        assert error is None or "is not kept any more" in str(error) or "has not come yet" in str(error)
    assert segmenter.stats().errors == 0
