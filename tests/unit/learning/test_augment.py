"""How an example may sound another time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.audio.types import Closed, Samples
from earmark.learning import augment
from earmark.learning.examples import Example
from earmark.windowing.windows import Lengths, UtteranceWindows
from tests.signals import noise, ramp, tone

RATE = WINDOW = 16000
PRE_ROLL = 4800

SPEED, GAIN, HISS = (0.9, 1.1), (-20.0, 3.0), (-90.0, -55.0)
AWAY, SNR = (10.0, 60.0), (3.0, 30.0)
DECAY, ECHO, BAND = (0.1, 0.6), (0, 20), (0.42, 0.5)
PLAIN = {SPEED: 1.0, GAIN: 0.0, HISS: -60.0}
Floats = npt.NDArray[np.float64]
YES, NO = 0.0, 1.0
WHOLE = 1000  # the window of the tests in which nothing is left to chance


class Chance:
    """A generator whose numbers are given: for each range one, for each question whether something happens an answer.

    Its normal noise is +1, -1, +1 ..., or an impulse of 1. `ranges` and `bounds` are what it was asked for.
    """

    def __init__(
        self,
        numbers: Mapping[tuple[float, float], float] = PLAIN,
        draws: Sequence[float] = (),
        wholes: Sequence[int] = (),
        *,
        colour: float = 0.0,
        impulse: bool = False,
    ) -> None:
        self._numbers = numbers
        self._draws = list(draws)
        self._wholes = list(wholes)
        self._colour = colour
        self._impulse = impulse
        self.ranges: list[tuple[float, float]] = []
        self.bounds: list[tuple[int, ...]] = []

    @property
    def is_used_up(self) -> bool:
        return not self._draws and not self._wholes

    def uniform(self, low: float, high: float) -> float:
        self.ranges.append((low, high))
        return self._numbers[low, high]

    def random(self) -> float:
        return self._draws.pop(0)

    def integers(self, *bounds: int) -> int:
        self.bounds.append(bounds)
        return self._wholes.pop(0)

    def choice(self, colours: Sequence[float]) -> float:
        assert colours == (0.0, 1.0, 2.0)
        return self._colour

    def standard_normal(self, length: int) -> Floats:
        noise: Floats = np.ones(length)
        noise[1::2] = -1.0
        return noise * (np.arange(length) == 0) if self._impulse else noise


def made(chance: Chance, example: Example, noises: Sequence[Samples] = (), pre_roll: int = 100) -> Samples:
    """The one window that comes of this chance, which uses up all that was given."""
    windows = augment.variants(example, 1, WHOLE, pre_roll, noises, cast(np.random.Generator, chance))
    assert windows.shape == (1, WHOLE)
    assert chance.is_used_up
    window: Samples = windows[0]
    return window


def slope(length: int = 4000) -> Samples:
    """Rises from 0 to 1: each sample tells its position."""
    return (ramp(0, length) / length).astype(np.float32)


EXAMPLE = Example(slope(), 1000, 1400, "")


def test_the_plain_window_is_the_one_that_the_daemon_cuts() -> None:
    for length in (1000, 6000, 11200, 20000):
        begin, end = 20000, 20000 + length
        windowing = UtteranceWindows(Lengths(WINDOW, WINDOW, WINDOW, PRE_ROLL, WINDOW // 4))
        windowing.opened(begin)
        (span,) = windowing.closed(Closed(end), 0, 80000)
        cut = augment.natural(Example(ramp(0, 80000), begin, end, ""), WINDOW, PRE_ROLL)
        assert (cut[0], cut[-1]) == (span.start, span.end - 1)


def test_what_was_not_recorded_is_silence() -> None:
    cut = augment.natural(Example(np.ones(100, np.float32), 0, 100, ""), WINDOW, PRE_ROLL)
    assert cut.sum() == 100
    assert len(cut) == WINDOW


@given(st.integers(500, 24000), st.integers(0, 2**32))
def test_no_variant_loses_more_of_the_example_than_the_slack(length: int, seed: int) -> None:
    begin, end = 20000, 20000 + length
    usual = augment._natural_start(begin, end, WINDOW, PRE_ROLL)
    start = augment._shifted_start(begin, end, WINDOW, PRE_ROLL, np.random.default_rng(seed))
    assert abs(start - usual) <= augment.MAX_SHIFT * WINDOW

    def kept(first: int) -> int:
        return min(end, first + WINDOW) - max(begin, first)

    assert kept(start) >= kept(usual) - augment.MAX_LOSS * WINDOW


@given(st.integers(0, 2**32))
def test_in_a_quieter_place_the_example_is_as_it_was_and_all_else_is_softer(seed: int) -> None:
    samples, margin = noise(3 * RATE, -40), int(augment.MARGIN * WINDOW)
    alone = augment._isolated(samples, RATE, RATE + 8000, WINDOW, np.random.default_rng(seed))
    kept = slice(RATE - margin, RATE + 8000 + margin)
    assert np.array_equal(alone[kept], samples[kept])
    softer = np.concatenate([alone[: kept.start], alone[kept.stop :]])
    before = np.concatenate([samples[: kept.start], samples[kept.stop :]])
    assert -60.1 <= 10 * np.log10(np.square(softer).mean() / np.square(before).mean()) <= -9.9


def test_some_variants_are_in_a_quieter_place() -> None:
    example = Example(np.concatenate([noise(RATE, -40), tone(4000, 400), noise(RATE, -40)]), RATE, RATE + 4000, "")
    windows = augment.variants(example, 200, WINDOW, PRE_ROLL, [], np.random.default_rng(0))
    before = 10 * np.log10(np.square(windows[:, :1000]).mean(1) + 1e-12)
    assert np.sum((before < -70) & (before > -119)) >= 5  # no gain alone makes the hiss so faint


def test_variants_differ_and_the_same_seed_makes_the_same() -> None:
    example = Example(np.concatenate([noise(RATE, -60), tone(8000, 400), noise(RATE, -60)]), RATE, RATE + 8000, "")
    room = [noise(5 * RATE, -40)]
    first, second = (augment.variants(example, 8, WINDOW, PRE_ROLL, room, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(first, second)
    assert first.shape == (8, WINDOW)
    assert first.dtype == np.float32
    assert np.abs(first).max() <= 1
    assert len({window.tobytes() for window in first}) == 8


def test_backgrounds_hold_silence_the_room_and_noise_of_all_levels() -> None:
    hum = tone(5 * RATE, 50, peak=0.1)
    made = augment.background_windows(60, WINDOW, [hum], np.random.default_rng(0))
    assert made.shape == (60, WINDOW)
    assert not made[0].any()
    spectra = np.abs(np.fft.rfft(made[1:]))
    assert 15 < (spectra.argmax(1) == 50).sum() < 45
    levels = 10 * np.log10(np.square(made[1:]).mean(1))
    assert levels.min() < -70
    assert levels.max() > -35


@pytest.mark.parametrize(
    ("begin", "end", "pre_roll", "range_"),
    [
        (1000, 1400, 100, (450, 951)),  # usually at 700, a quarter of a window to either side
        (1000, 1400, 400, (350, 851)),  # the pre-roll is longer: usually at 600
        (1000, 1100, 100, (300, 801)),
        (1000, 1900, 100, (850, 1051)),  # 50 samples of it may be lost at either side
        (1000, 2200, 100, (850, 1051)),
    ],
)
def test_where_a_window_may_begin(begin: int, end: int, pre_roll: int, range_: tuple[int, int]) -> None:
    chance = Chance(PLAIN, [NO] * 4, [range_[0]])
    window = made(chance, Example(slope(), begin, end, ""), pre_roll=pre_roll)
    assert chance.bounds == [range_]
    assert chance.ranges == [SPEED, GAIN, HISS]
    assert np.array_equal(window, slope()[range_[0] : range_[0] + WHOLE])


def test_a_faster_example_is_shorter_and_where_nothing_is_left_there_is_silence() -> None:
    chance = Chance(PLAIN | {SPEED: 2.0}, [NO] * 4, [1500])
    window = made(chance, EXAMPLE)
    assert chance.bounds == [(-150, 351)]  # the example is in samples [500, 700) then
    assert window[:500] == pytest.approx(slope()[3000::2], abs=1e-6)
    assert not window[500:].any()
    before = made(Chance(PLAIN, [NO] * 4, [-300]), EXAMPLE)
    assert not before[:300].any()
    assert np.array_equal(before[300:], slope()[:700])
    assert not made(Chance(PLAIN, [NO] * 4, [9000]), EXAMPLE).any()


def test_a_slower_example_is_longer() -> None:
    window = made(Chance(PLAIN | {SPEED: 0.5}, [NO] * 4, [1001]), EXAMPLE)
    assert window == pytest.approx(np.arange(1001, 2001) / 8000, abs=1e-6)


def test_the_gain_comes_last_and_what_it_makes_too_loud_is_cut() -> None:
    window = made(Chance(PLAIN | {GAIN: 20.0}, [NO] * 4, [0]), EXAMPLE)
    assert window == pytest.approx(np.minimum(slope()[:WHOLE] * 10, 1), abs=1e-5)
    assert window.max() == 1
    quiet = made(Chance(PLAIN | {GAIN: -20.0}, [NO] * 4, [0]), EXAMPLE)
    assert quiet == pytest.approx(slope()[:WHOLE] / 10, abs=1e-6)
    negative = Example(-slope(), 1000, 1400, "")
    assert made(Chance(PLAIN | {GAIN: 40.0}, [NO] * 4, [3000]), negative).min() == -1


def test_hiss_is_as_loud_as_it_is_chosen_whatever_the_gain() -> None:
    window = made(Chance(PLAIN | {HISS: -40.0, GAIN: -20.0}, [NO, NO, NO, YES], [9000]), EXAMPLE)
    assert window == pytest.approx(0.01 * (1.0 - 2.0 * (np.arange(WHOLE) % 2)), abs=1e-6)


@pytest.mark.parametrize(
    ("draws", "also"),
    [
        ([0.25, 0.35, 0.6, 0.6], []),
        ([0.2499, 0.35, 0.6, 0.6], [AWAY]),
        ([0.25, 0.3499, 1 / 3, 0.6, 0.6], [DECAY, ECHO]),
        ([0.25, 0.3499, 0.3333, 0.6, 0.6], [DECAY, ECHO, BAND]),
        ([0.25, 0.35, 0.5999, 0.6], [SNR]),
        ([0.2499, 0.3499, 0.5, 0.5999, 0.6], [AWAY, DECAY, ECHO, SNR]),
    ],
)
def test_how_often_an_example_is_alone_in_a_room_and_over_noise(
    draws: list[float], also: list[tuple[float, float]]
) -> None:
    chance = Chance(PLAIN | {AWAY: 20.0, DECAY: 0.3, ECHO: 10, BAND: 0.45, SNR: 10.0}, draws, [700])
    window = made(chance, EXAMPLE)
    assert chance.ranges == [SPEED, *also, GAIN, HISS]
    assert np.array_equal(window, slope()[700:1700]) == (not also)


@pytest.mark.parametrize(("draw", "is_heard"), [(0.6, False), (0.5999, True)])
def test_how_often_there_is_hiss(draw: float, is_heard: bool) -> None:
    assert made(Chance(PLAIN, [NO, NO, NO, draw], [9000]), EXAMPLE).any() == is_heard


def test_alone_what_is_more_than_a_twentieth_of_a_window_away_from_the_example_is_softer() -> None:
    chance = Chance(PLAIN | {AWAY: 20.0}, [YES, NO, NO, NO], [700])
    expected = slope() / 10
    expected[950:1450] = slope()[950:1450]
    assert made(chance, EXAMPLE) == pytest.approx(expected[700:1700], abs=1e-6)
    early = Example(slope(), 20, 400, "")
    expected = slope() / 10
    expected[:450] = slope()[:450]
    assert made(Chance(PLAIN | {AWAY: 20.0}, [YES, NO, NO, NO], [0]), early) == pytest.approx(expected[:1000], abs=1e-6)


def test_a_room_adds_an_echo_that_dies_away() -> None:
    click = np.zeros(4000, np.float32)
    click[1000] = 0.5
    numbers = PLAIN | {DECAY: 0.5, ECHO: 20}
    window = made(Chance(numbers, [NO, YES, NO, NO, NO], [900]), Example(click, 1000, 1400, ""))
    assert np.abs(window[:100]).max() < 1e-6
    assert window[100] == pytest.approx(0.5, abs=1e-6)
    echo = window[101:]
    assert abs(echo[0]) < 1e-6  # the first 500th of a window is the sound alone
    assert np.square(echo).sum() == pytest.approx(0.25 / 100, rel=0.01)
    for at in (1, 100, 400):
        assert abs(echo[at] / echo[at + 50]) == pytest.approx(np.exp(6.9 * 50 / 500), rel=0.01)


def test_a_narrow_band_is_half_as_loud_at_its_end_and_unchanged_well_below() -> None:
    def heard(cycles: int, band: float) -> float:
        sound = tone(4000, cycles, rate=1000)
        numbers = PLAIN | {DECAY: 0.1, ECHO: 200, BAND: band}
        draws = [NO, YES, YES if band < 1 else NO, NO, NO]
        window = made(Chance(numbers, draws, [1000]), Example(sound, 1000, 1400, ""))
        return float(window[300:700].std() * np.sqrt(2))

    assert heard(100, 0.4) == pytest.approx(0.5, abs=0.01)
    assert heard(200, 0.4) == pytest.approx(0.25, abs=0.02)  # 200 of 500 cycles: 0.4 of half the rate
    assert heard(250, 0.4) < 0.01
    assert heard(200, 1.0) > 0.45


@pytest.mark.parametrize(("ratio", "level"), [(20.0, 0.04), (6.0, 0.4 * 10 ** (-6 / 20))])
def test_noise_is_so_many_db_below_the_sound(ratio: float, level: float) -> None:
    sound = np.full(4000, 0.4, np.float32)
    window = made(Chance(PLAIN | {SNR: ratio}, [NO, NO, YES, NO], [700]), Example(sound, 1000, 1400, ""))
    assert window - 0.4 == pytest.approx(level * (1.0 - 2.0 * (np.arange(WHOLE) % 2)), abs=1e-5)


@pytest.mark.parametrize(("draw", "is_room"), [(0.5, False), (0.4999, True)])
def test_half_of_the_noise_is_a_piece_of_a_room_where_there_is_one(draw: float, is_room: bool) -> None:
    sound = np.full(4000, 0.4, np.float32)
    rooms = [np.full(1000, 0.1, np.float32), np.full(1500, 0.2, np.float32)]
    chance = Chance(PLAIN | {SNR: 20.0}, [NO, NO, YES, draw, NO], [700, 1, 300] if is_room else [700])
    window = made(chance, Example(sound, 1000, 1400, ""), rooms)
    assert chance.bounds == [(450, 951), (2,), (501,)] if is_room else chance.bounds == [(450, 951)]
    assert (window.std() < 1e-5) == is_room
    assert np.abs(window - 0.4) == pytest.approx(0.04, abs=1e-5)


def test_a_silent_example_stays_silent_over_noise_and_an_example_is_itself_over_silence() -> None:
    silent = Example(np.zeros(4000, np.float32), 1000, 1400, "")
    assert not made(Chance(PLAIN | {SNR: 3.0}, [NO, NO, YES, NO], [700]), silent).any()
    room = [np.zeros(1000, np.float32)]
    window = made(Chance(PLAIN | {SNR: 3.0}, [NO, NO, YES, YES, NO], [700, 0, 0]), EXAMPLE, room)
    assert np.array_equal(window, slope()[700:1700])  # nor does silence drown an example


@pytest.mark.parametrize("colour", [0.0, 1.0, 2.0])
def test_the_power_of_noise_falls_with_its_colour_and_its_rms_is_one(colour: float) -> None:
    made = augment.coloured_noise(1024, cast(np.random.Generator, Chance(colour=colour, impulse=True)))
    spectrum = np.abs(np.fft.rfft(made))
    assert made.dtype == np.float32
    assert made.std() == pytest.approx(1, abs=1e-3)
    for cycles in (2, 8, 100):
        assert spectrum[cycles] / spectrum[1] == pytest.approx(cycles ** (-colour / 2), rel=1e-3)
    assert spectrum[0] == pytest.approx(spectrum[1], rel=1e-3)


def test_backgrounds_are_silence_noise_of_a_level_and_pieces_of_a_room_louder_or_softer() -> None:
    room = [slope(1001)]
    chance = Chance({(-85, -20): -40.0, (-10, 10): 6.0}, [0.5, 0.4999, 0.5], [0, 1])
    windows = augment.background_windows(4, WHOLE, room, cast(np.random.Generator, chance))
    assert chance.bounds == [(1,), (2,)]
    assert chance.is_used_up
    assert windows.shape == (4, WHOLE)
    assert not windows[0].any()
    for each in (windows[1], windows[3]):
        assert each == pytest.approx(0.01 * (1.0 - 2.0 * (np.arange(WHOLE) % 2)), abs=1e-6)
    assert windows[2] == pytest.approx(np.minimum(slope(1001)[1:] * 10 ** (6 / 20), 1), abs=1e-5)
    assert windows[2].max() == 1


def test_without_a_room_all_backgrounds_are_noise() -> None:
    chance = Chance({(-85, -20): -20.0})
    windows = augment.background_windows(3, WHOLE, [], cast(np.random.Generator, chance))
    assert np.abs(windows[1:]) == pytest.approx(0.1, abs=1e-5)
    assert windows.dtype == np.float32
    assert len(augment.background_windows(1, WHOLE, [], cast(np.random.Generator, Chance()))) == 1
