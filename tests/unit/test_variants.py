"""How an example may sound another time."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from earmark.core import variants
from earmark.core.audio import Closed, Opened
from earmark.core.takes import Take
from earmark.core.windows import Lengths, Utterances
from tests.signals import noise, ramp, tone

RATE = WINDOW = 16000
PRE_ROLL = 4800


def test_the_plain_window_is_the_one_that_the_daemon_cuts() -> None:
    for length in (1000, 6000, 11200, 20000):
        begin, end = 20000, 20000 + length
        cutter = Utterances(Lengths(WINDOW, WINDOW, WINDOW, PRE_ROLL, WINDOW // 4))
        cutter.opened(Opened(begin))
        (span,) = cutter.closed(Closed(end), 0, 80000)
        cut = variants.plain(Take(ramp(0, 80000), begin, end, ""), WINDOW, PRE_ROLL)
        assert (cut[0], cut[-1]) == (span.start, span.end - 1)


def test_what_was_not_recorded_is_silence() -> None:
    cut = variants.plain(Take(np.ones(100, np.float32), 0, 100, ""), WINDOW, PRE_ROLL)
    assert cut.sum() == 100
    assert len(cut) == WINDOW


@given(st.integers(500, 24000), st.integers(0, 2**32))
def test_no_variant_loses_more_of_the_take_than_the_slack(length: int, seed: int) -> None:
    begin, end = 20000, 20000 + length
    usual = variants._start(begin, end, WINDOW, PRE_ROLL)
    start = variants._shifted(begin, end, WINDOW, PRE_ROLL, np.random.default_rng(seed))
    assert abs(start - usual) <= variants.SHIFT * WINDOW

    def kept(first: int) -> int:
        return min(end, first + WINDOW) - max(begin, first)

    assert kept(start) >= kept(usual) - variants.SLACK * WINDOW


@given(st.integers(0, 2**32))
def test_in_a_quieter_place_the_take_is_as_it_was_and_all_else_is_softer(seed: int) -> None:
    samples, margin = noise(3 * RATE, -40), int(variants.MARGIN * WINDOW)
    alone = variants._alone(samples, RATE, RATE + 8000, WINDOW, np.random.default_rng(seed))
    kept = slice(RATE - margin, RATE + 8000 + margin)
    assert np.array_equal(alone[kept], samples[kept])
    softer = np.concatenate([alone[: kept.start], alone[kept.stop :]])
    before = np.concatenate([samples[: kept.start], samples[kept.stop :]])
    assert -60.1 <= 10 * np.log10(np.square(softer).mean() / np.square(before).mean()) <= -9.9


def test_some_variants_are_in_a_quieter_place() -> None:
    take = Take(np.concatenate([noise(RATE, -40), tone(4000, 400), noise(RATE, -40)]), RATE, RATE + 4000, "")
    windows = variants.varied(take, 200, WINDOW, PRE_ROLL, [], np.random.default_rng(0))
    before = 10 * np.log10(np.square(windows[:, :1000]).mean(1) + 1e-12)
    assert np.sum((before < -70) & (before > -119)) >= 5  # no gain alone makes the hiss so faint


def test_variants_differ_and_the_same_seed_makes_the_same() -> None:
    take = Take(np.concatenate([noise(RATE, -60), tone(8000, 400), noise(RATE, -60)]), RATE, RATE + 8000, "")
    room = [noise(5 * RATE, -40)]
    first, second = (variants.varied(take, 8, WINDOW, PRE_ROLL, room, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(first, second)
    assert first.shape == (8, WINDOW)
    assert first.dtype == np.float32
    assert np.abs(first).max() <= 1
    assert len({window.tobytes() for window in first}) == 8


def test_backgrounds_hold_silence_the_room_and_noise_of_all_levels() -> None:
    hum = tone(5 * RATE, 50, peak=0.1)
    made = variants.backgrounds(60, WINDOW, [hum], np.random.default_rng(0))
    assert made.shape == (60, WINDOW)
    assert not made[0].any()
    spectra = np.abs(np.fft.rfft(made[1:]))
    assert 15 < (spectra.argmax(1) == 50).sum() < 45
    levels = 10 * np.log10(np.square(made[1:]).mean(1))
    assert levels.min() < -70
    assert levels.max() > -35
