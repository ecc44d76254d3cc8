from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from earmark.audio.types import Closed, Opened
from earmark.gating.gate import Gate, GateSettings

STEP = 10


def make(min_speech: int = 20, hangover: int = 30, maximum: int = 0, brief: int = 0) -> Gate:
    return Gate(GateSettings(0.5, 0.35, min_speech, hangover, maximum, brief), STEP)


def hear(picture: str, gate: Gate | None = None, start: int = 0) -> list[Opened | Closed]:
    """One sign a step of ten samples, the first at `start`.

    `#` is exactly the threshold, `+` just below it, `~` exactly the release, `-` just below it, `.` silence.
    """
    gate = gate or make()
    scores = {"#": 0.5, "+": 0.4999, "~": 0.35, "-": 0.3499, ".": 0.0}
    return [events for index, sign in enumerate(picture) for events in gate.feed(start + index * STEP, scores[sign])]


def test_a_sound_is_told_where_it_began_and_where_it_ended() -> None:
    assert hear("..####....") == [Opened(20), Closed(60)]


def test_where_the_sound_ended_for_now_is_known_while_the_gate_is_still_open() -> None:
    gate = make()
    hear("####", gate)
    told = [gate.quiet_since]
    for start, picture in ((40, ".."), (60, "#"), (70, "..."), (100, "...")):
        hear(picture, gate, start)
        told.append(gate.quiet_since)
    assert told == [None, 40, None, None, None]


def test_a_click_is_not_speech() -> None:
    assert hear("...#......") == []


def test_min_speech_is_reached_exactly() -> None:
    assert hear("..##") == [Opened(20)]
    assert hear("..#.#.") == []


def test_min_speech_may_be_nothing() -> None:
    assert hear("..#", make(min_speech=0)) == [Opened(20)]


def test_a_sound_that_was_too_short_counts_for_nothing_later() -> None:
    assert hear(".#..#.") == []
    assert hear(".#..##") == [Opened(40)]


def test_a_brief_sound_ends_after_twice_the_hangover() -> None:
    assert hear("####.....", make(brief=50)) == [Opened(0)]
    assert hear("####......", make(brief=50)) == [Opened(0), Closed(40)]


def test_a_sound_as_long_as_brief_ends_after_one_hangover() -> None:
    assert hear("#####..", make(brief=50)) == [Opened(0)]
    assert hear("#####...", make(brief=50)) == [Opened(0), Closed(50)]


def test_a_sound_that_goes_on_after_a_brief_beginning_is_no_longer_brief() -> None:
    assert hear("##.....##...", make(brief=50)) == [Opened(0), Closed(90)]


def test_no_sound_is_brief_where_nothing_is_said_of_it() -> None:
    assert GateSettings(0.5, 0.35, min_speech=20, hangover=30, maximum=0).brief == 0
    # nothing of this sound is left after the cut
    assert hear("#####...", make(maximum=50)) == [Opened(0), Closed(50, split=True), Opened(50), Closed(50)]


def test_a_pause_shorter_than_the_hangover_does_not_end_it() -> None:
    assert hear("###..##...") == [Opened(0), Closed(70)]
    assert hear("###...##") == [Opened(0), Closed(30), Opened(60)]


def test_the_hangover_is_reached_exactly() -> None:
    assert hear("###..") == [Opened(0)]
    assert hear("###...") == [Opened(0), Closed(30)]
    assert hear("##.", make(hangover=0)) == [Opened(0), Closed(20)]


def test_it_opens_at_the_threshold_and_closes_only_below_the_release() -> None:
    assert hear("++++++") == []
    assert hear("#+#+#+") == []
    assert hear("##~~~~~~~") == [Opened(0)]
    assert hear("##-------") == [Opened(0), Closed(20)]


def test_at_exactly_the_release_a_sound_goes_on() -> None:
    gate = make()
    assert hear("###~", gate) == [Opened(0)]
    assert gate.close(40) == [Closed(40)]


def test_a_pause_ends_at_exactly_the_release() -> None:
    gate = make()
    assert hear("###-~--", gate) == [Opened(0)]
    assert gate.close(70) == [Closed(50)]


def test_it_is_open_from_opened_to_closed_pauses_included() -> None:
    gate = make()
    heard = [(hear(sign, gate, start=k * STEP), gate.is_open) for k, sign in enumerate("#####.#...")]
    is_open = [open_ for _, open_ in heard]
    assert is_open == [False, True, True, True, True, True, True, True, True, False]


def test_a_second_sound_is_told_like_the_first() -> None:
    assert hear("##...##...") == [Opened(0), Closed(20), Opened(50), Closed(70)]


def test_a_second_sound_may_be_brief_though_the_stream_is_long() -> None:
    events = hear("#####...##......", make(brief=50))
    assert events == [Opened(0), Closed(50), Opened(80), Closed(100)]
    assert hear("#####...##.....", make(brief=50)) == events[:-1]


def test_a_long_sound_is_cut_and_goes_on() -> None:
    gate = make(maximum=50)

    events = hear("#" * 12, gate)

    assert events == [Opened(0), Closed(50, split=True), Opened(50), Closed(100, split=True), Opened(100)]
    assert gate.is_open


def test_the_maximum_is_reached_exactly() -> None:
    assert hear("####", make(maximum=50)) == [Opened(0)]
    assert hear("#####", make(maximum=50)) == [Opened(0), Closed(50, split=True), Opened(50)]


def test_without_a_maximum_nothing_is_cut() -> None:
    assert hear("#" * 1000, make(maximum=0)) == [Opened(0)]


def test_a_cut_waits_in_a_pause_for_the_pause_to_end() -> None:
    assert hear("####..#", make(maximum=50)) == [Opened(0), Closed(70, split=True), Opened(70)]
    assert hear("####...", make(maximum=50)) == [Opened(0), Closed(40)]


def test_what_sounds_late_in_the_stream_is_told_like_what_sounds_at_its_beginning() -> None:
    picture = "..####......##....#######.###.....#############"
    for start in (10_000, 3600 * 16_000):
        late = hear(picture, make(maximum=80, brief=30), start)
        early = hear(picture, make(maximum=80, brief=30))
        assert [item.position - start for item in late] == [item.position for item in early]
        assert [type(item) for item in late] == [type(item) for item in early]


def test_brief_counts_from_the_sound_not_from_the_stream() -> None:
    assert hear("####.....", make(brief=50), start=10_000) == [Opened(10_000)]
    assert hear("#####...", make(brief=50), start=10_000) == [Opened(10_000), Closed(10_050)]


def test_the_maximum_counts_from_the_sound_not_from_the_stream() -> None:
    assert hear("####", make(maximum=50), start=10_000) == [Opened(10_000)]
    assert hear("#########", make(maximum=50), start=10_000) == [
        Opened(10_000),
        Closed(10_050, split=True),
        Opened(10_050),
    ]


def test_the_end_of_the_stream_closes_it_where_the_sound_ended() -> None:
    gate = make()
    hear("####.", gate)
    assert gate.close(50) == [Closed(40)]
    assert gate.close(60) == []


def test_the_end_of_the_stream_closes_a_sound_that_goes_on() -> None:
    gate = make()
    hear("####", gate)
    assert gate.close(40) == [Closed(40)]


def test_the_end_of_the_stream_says_nothing_of_a_sound_that_did_not_count_yet() -> None:
    gate = make()
    hear("###...#", gate)
    assert gate.close(70) == []
    assert not gate.is_open


def test_after_the_end_of_the_stream_the_gate_hears_the_next_one() -> None:
    gate = make()
    hear("####.", gate)
    gate.close(50)
    assert hear("##...", gate, start=10_000) == [Opened(10_000), Closed(10_020)]


@given(
    scores=st.lists(st.floats(0, 1), max_size=200),
    min_speech=st.integers(0, 60),
    hangover=st.integers(0, 60),
    maximum=st.sampled_from([0, 30, 100]),
)
def test_opened_and_closed_alternate_and_never_go_back(
    scores: list[float], min_speech: int, hangover: int, maximum: int
) -> None:
    gate = make(min_speech, hangover, maximum)
    events = [item for index, score in enumerate(scores) for item in gate.feed(index * STEP, score)]
    events += gate.close(len(scores) * STEP)

    assert [type(item) for item in events] == [Opened, Closed] * (len(events) // 2)
    positions = [item.position for item in events]
    assert positions == sorted(positions)
    for opened, closed in zip(events[::2], events[1::2], strict=True):
        assert closed.position >= opened.position  # equal only where a sound ended just where it was cut
        # a cut waits for the sound to count at all, and for the end of a pause
        assert not maximum or closed.position - opened.position <= max(maximum, min_speech + STEP) + hangover + STEP
