from __future__ import annotations

import numpy as np
import pytest
import soxr

from earmark.audio.types import Samples
from earmark.capture.health import Change, Health
from earmark.protocol.events import SourceState
from tests.signals import demo, noise, tone

RATE = 16000
HALF = RATE // 2  # samples of one period

MUTED = "exact silence: is it muted or unplugged inside?"
STUCK = "a constant value and no sound: is it muted or unplugged inside?"
CLIPPING = "the input is overdriven: lower its gain"
QUIET = "nothing above -68 dBFS for 30 s: is it turned down or covered?"
SOON_QUIET = 59  # periods of near silence, after which one more makes it quiet


def hear(health: Health, samples: Samples) -> list[str]:
    """The states told while `samples` come in blocks of 20 ms."""
    blocks = np.split(samples, len(samples) // 320)
    return [change.state for block in blocks for change in health.heard(block, RATE)]


def steady(level_db: float, length: int = HALF) -> Samples:
    """A square wave at exactly this level."""
    peak = 10 ** (level_db / 20)
    return np.resize(np.array([peak, -peak], np.float32), length)


def zeros(length: int = HALF) -> Samples:
    return np.zeros(length, np.float32)


def clipped(count: int, peak: float = 1.0, length: int = HALF) -> Samples:
    """A faint tone, of which the first `count` samples are at `peak`."""
    samples = steady(-40, length)
    samples[:count] = peak
    return samples


def periods(health: Health, picture: str) -> list[str]:
    """What is told in each half second: `0` zeros, `.` near silence, `-` hardly more, `~` noise, `!` overdriven."""
    sounds = {"0": zeros(), ".": steady(-80), "-": steady(-66), "~": steady(-40), "!": steady(0)}
    changes = [health.heard(sounds[sign], RATE) for sign in picture]
    return ["".join(change.state for change in each) for each in changes]


def listening() -> Health:
    health = Health()
    assert health.started("USB Microphone", RATE) == Change("listening", "", "USB Microphone", RATE)
    return health


def test_a_source_that_has_not_begun_is_starting() -> None:
    assert Health().current == Change("starting", "", device="", rate=0)


def test_device_and_rate_of_a_change_are_unknown_unless_said() -> None:
    assert Change("lost", "gone") == Change("lost", "gone", device="", rate=0)


def test_exact_zeros_are_a_muted_microphone() -> None:
    assert hear(listening(), zeros(10 * RATE)) == ["muted"]


def test_noise_at_minus_70_db_is_quiet_and_room_noise_is_not() -> None:
    assert hear(listening(), noise(40 * RATE, -70)) == ["quiet"]
    assert hear(listening(), noise(40 * RATE, -62)) == []


def test_an_overdriven_input_is_clipping_until_it_is_not() -> None:
    loud = np.clip(tone(RATE, 440, peak=4.0), -1, 1)
    assert hear(listening(), np.concatenate([loud, noise(4 * RATE, -30)])) == ["clipping", "listening"]


def test_clipping_is_over_after_three_seconds_without_it_whatever_sounds_then() -> None:
    for pause in "~.0":
        assert periods(listening(), "!" + 5 * pause)[-1] != "listening"
    assert periods(listening(), "!~~~~~~") == ["clipping", "", "", "", "", "", "listening"]
    assert periods(listening(), "!......") == ["clipping", "", "", "", "", "", "listening"]
    assert periods(listening(), "!~~~~!~~~~!~~~") == ["clipping"] + [""] * 13


def test_sound_ends_quiet_and_muted() -> None:
    assert periods(listening(), "0000~") == ["", "", "", "muted", "listening"]
    assert periods(listening(), "." * 60 + "~")[-2:] == ["quiet", "listening"]


def test_zeros_of_a_microphone_end_with_its_noise() -> None:
    assert periods(listening(), "0000.") == ["", "", "", "muted", "listening"]
    assert periods(listening(), "0000" + "." * 56)[-1] == "quiet", "it has been as silent all the time"


def test_a_source_is_muted_after_two_seconds_of_zeros_and_not_before() -> None:
    assert periods(listening(), "00000") == ["", "", "", "muted", ""]


def test_a_source_is_quiet_after_half_a_minute_of_near_silence_and_not_before() -> None:
    assert periods(listening(), "." * 61) == [""] * SOON_QUIET + ["quiet", ""]


def test_quiet_does_not_come_and_go_with_noise_that_is_hardly_louder() -> None:
    assert periods(listening(), "." * SOON_QUIET + "-" + "." * SOON_QUIET) == [""] * (2 * SOON_QUIET + 1)
    assert periods(listening(), "." * 60 + "-.-.-~") == [""] * SOON_QUIET + ["quiet"] + [""] * 5 + ["listening"]


def test_near_silence_is_not_muted_and_a_single_sample_ends_zeros() -> None:
    health = listening()
    assert periods(health, "000") == ["", "", ""]
    almost = zeros()
    almost[-1] = -3 / 2**15
    assert health.heard(almost, RATE) == []
    assert periods(health, "0000") == ["", "", "", "muted"]


@pytest.mark.parametrize("value", [0.01, -0.25])
def test_a_constant_value_and_its_last_bit_are_a_muted_microphone(value: float) -> None:
    generator = np.random.default_rng(0)
    stuck = np.full(5 * RATE, value, np.float32)
    flickering = (stuck + generator.integers(-1, 2, len(stuck)) / 2**15).astype(np.float32)
    for samples in (stuck, flickering):
        health = listening()
        assert hear(health, samples) == ["muted"]
        assert health.current.detail == STUCK


def test_an_input_that_is_stuck_at_full_scale_is_clipping_until_it_is_known_to_be_stuck() -> None:
    assert hear(listening(), np.full(5 * RATE, -1.0, np.float32)) == ["clipping", "muted"]


def test_a_working_microphone_with_an_offset_is_not_muted() -> None:
    assert hear(listening(), noise(5 * RATE, -60) + np.float32(0.01)) == []
    assert hear(listening(), noise(31 * RATE, -75) + np.float32(0.01)) == ["quiet"]


def test_any_sound_in_between_begins_the_count_again() -> None:
    assert periods(listening(), "000~000") == [""] * 7
    assert periods(listening(), "." * SOON_QUIET + "~" + "." * SOON_QUIET) == [""] * (2 * SOON_QUIET + 1)


def test_zeros_count_as_near_silence_and_are_called_muted_first() -> None:
    assert periods(listening(), "." * 58 + "000") == [""] * SOON_QUIET + ["quiet", ""]
    assert periods(listening(), "." * 60 + "0000")[-4:] == ["", "", "", "muted"]


@pytest.mark.parametrize(("level", "state"), [(-68.2, "quiet"), (-67.8, "listening")])
def test_quiet_is_what_has_nothing_above_minus_68_db(level: float, state: str) -> None:
    health = listening()
    for _ in range(60):
        health.heard(steady(level), RATE)
    assert health.current.state == state


def test_one_sample_in_a_hundred_may_be_clipped() -> None:
    at_most = HALF // 100
    assert listening().heard(clipped(at_most), RATE) == []
    assert listening().heard(clipped(at_most + 1), RATE) == [Change("clipping", CLIPPING, "USB Microphone", RATE)]


@pytest.mark.parametrize(
    ("peak", "state"), [(0.998, "listening"), (0.999, "clipping"), (-0.998, "listening"), (-0.999, "clipping")]
)
def test_samples_are_clipped_from_999_thousandths_of_full_scale(peak: float, state: str) -> None:
    health = listening()
    health.heard(clipped(HALF, peak), RATE)
    assert health.current.state == state


@pytest.mark.parametrize("rate", [16000, 48000])
def test_sound_is_judged_after_exactly_half_a_second(rate: int) -> None:
    health = Health()
    health.started("USB Microphone", rate)
    half = rate // 2
    assert health.heard(clipped(half - 1, length=half - 1), rate) == []
    assert health.heard(clipped(1, length=1), rate) == [Change("clipping", CLIPPING, "USB Microphone", rate)]
    for _ in range(5):
        assert health.heard(steady(-40, half), rate) == []
    assert health.heard(steady(-40, half - 1), rate) == []
    assert health.heard(steady(-40, 1), rate) == [Change("listening", "", "USB Microphone", rate)]


def test_the_share_of_clipped_samples_is_that_of_the_whole_half_second() -> None:
    health = listening()
    assert health.heard(clipped(80, length=1000), RATE) == []
    assert health.heard(clipped(0, length=HALF - 1000), RATE) == []
    assert health.heard(clipped(81, length=1000), RATE) == []
    assert health.heard(clipped(0, length=HALF - 1000), RATE) == [Change("clipping", CLIPPING, "USB Microphone", RATE)]


def test_a_longer_block_counts_for_as_long_as_it_is() -> None:
    assert listening().heard(zeros(4 * HALF - 1), RATE) == []
    assert listening().heard(zeros(4 * HALF), RATE) == [Change("muted", MUTED, "USB Microphone", RATE)]
    assert listening().heard(steady(-80, 60 * HALF - 1), RATE) == []
    assert listening().heard(steady(-80, 60 * HALF), RATE) == [Change("quiet", QUIET, "USB Microphone", RATE)]


def test_every_change_names_device_and_rate() -> None:
    def told(picture: str) -> Change:
        health = listening()
        periods(health, picture)
        return health.current

    assert told("0000") == Change("muted", MUTED, "USB Microphone", RATE)
    assert told("." * 60) == Change("quiet", QUIET, "USB Microphone", RATE)
    assert told("!") == Change("clipping", CLIPPING, "USB Microphone", RATE)
    assert told("!~~~~~~") == Change("listening", "", "USB Microphone", RATE)


def test_a_source_that_broke_keeps_device_and_rate() -> None:
    assert listening().failed("lost", "gone") == Change("lost", "gone", "USB Microphone", RATE)


def test_the_same_news_is_told_once() -> None:
    health = listening()
    assert health.failed("lost", "gone") is not None
    assert health.failed("lost", "gone") is None
    assert health.failed("lost", "gone; retrying in 1 s") is not None
    assert health.failed("stalled", "gone; retrying in 1 s") is not None


def test_another_device_is_no_news_but_is_known() -> None:
    health = listening()
    assert health.started("Webcam", 48000) is None
    assert health.failed("lost", "gone") == Change("lost", "gone", "Webcam", 48000)


@pytest.mark.parametrize("state", ["stalled", "lost"])
def test_a_source_that_sounds_again_is_listening_at_once(state: SourceState) -> None:
    health = listening()
    health.failed(state, "no sound for 2 s")
    assert health.heard(noise(320, -30), 44100) == [Change("listening", "", "USB Microphone", 44100)]


def test_a_source_that_sounds_before_it_began_is_listening_at_once() -> None:
    assert Health().heard(noise(320, -30), RATE) == [Change("listening", "", "", RATE)]


def test_a_stopped_source_is_judged_like_one_that_listens() -> None:
    health = listening()
    health.failed("stopped", "")
    assert hear(health, noise(HALF - 320, -30)) == []
    assert hear(health, noise(320, -30)) == ["listening"]


def test_the_sound_that_ended_a_stall_counts_in_the_first_half_second() -> None:
    health = Health()
    assert health.heard(clipped(320, length=320), RATE) == [Change("listening", "", "", RATE)]
    assert health.heard(clipped(HALF - 321, length=HALF - 321), RATE) == []
    assert health.heard(clipped(1, length=1), RATE) == [Change("clipping", CLIPPING, "", RATE)]


def test_a_source_that_never_began_is_muted_and_quiet_after_the_same_time() -> None:
    assert periods(Health(), "0000") == ["listening", "", "", "muted"]
    assert periods(Health(), "." * 60) == ["listening"] + [""] * 58 + ["quiet"]


def test_a_source_that_begins_again_inherits_no_silence() -> None:
    health = listening()
    assert periods(health, "000") == [""] * 3
    health.started("USB Microphone", RATE)
    assert periods(health, "0000") == ["", "", "", "muted"]

    health = listening()
    assert periods(health, "." * SOON_QUIET) == [""] * SOON_QUIET
    health.started("USB Microphone", RATE)
    assert periods(health, "." * 60) == [""] * SOON_QUIET + ["quiet"]


def test_a_source_that_begins_again_inherits_no_sound_of_its_last_half_second() -> None:
    health = listening()
    assert health.heard(clipped(1000, length=1000), RATE) == []
    health.started("USB Microphone", RATE)
    assert health.heard(steady(-40), RATE) == []

    assert health.heard(steady(-40, 1000), RATE) == []
    health.started("USB Microphone", RATE)
    assert health.heard(clipped(HALF - 1, length=HALF - 1), RATE) == []
    assert health.heard(clipped(1, length=1), RATE) == [Change("clipping", CLIPPING, "USB Microphone", RATE)]


@pytest.mark.parametrize(("rate", "limited"), [(8000, True), (15999, True), (16000, False), (48000, False)])
def test_a_source_below_the_rate_of_a_model_is_band_limited(rate: int, limited: bool) -> None:
    health = Health(16000)
    change = health.started("telephone", rate)
    assert change is not None
    assert (change.state, change.detail.startswith("band_limited: ")) == ("listening", limited)
    assert health.failed("lost", "gone") is not None
    assert health.heard(noise(rate // 50, -30), rate) == [change]
    assert all(health.heard(noise(rate // 2, -30), rate) == [] for _ in range(3))


def test_the_detail_of_a_band_limited_source_says_what_is_missing() -> None:
    change = Health(16000).started("telephone", 8000)
    assert change is not None
    assert change.detail == (
        "band_limited: it delivers 8000 Hz and a model takes 16000, so nothing above 4000 Hz is heard and scores may "
        "differ"
    )


def test_a_source_whose_sound_was_narrow_before_is_band_limited_until_it_is_not() -> None:
    wide, rate, _ = demo()
    narrow = soxr.resample(soxr.resample(wide, rate, 8000), 8000, rate)
    health = Health(16000)
    health.started("headset", rate)
    told: list[str] = []
    for samples in (narrow, wide, narrow):
        told += [change.detail[:12] for part in halves(samples) for change in health.heard(part, rate)]
    assert told == ["band_limited", "", "band_limited"]
    again = health.started("headset", rate)
    assert (again and again.detail) == "", "a device that was opened anew has shown nothing yet"


@pytest.mark.parametrize("wanted", [0, 8000])
def test_narrow_sound_is_enough_for_a_model_that_takes_no_more(wanted: int) -> None:
    wide, rate, _ = demo()
    health = Health(wanted)
    health.started("headset", rate)
    narrow = soxr.resample(soxr.resample(wide, rate, 8000), 8000, rate)
    assert not any(health.heard(part, rate) for part in halves(narrow))


def halves(samples: Samples) -> list[Samples]:
    return [samples[start : start + HALF] for start in range(0, len(samples) - HALF, HALF)]
