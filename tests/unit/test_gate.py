from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from earmark.core.audio import Closed, Opened
from earmark.core.gate import Gate, GateSettings

STEP = 10


def make(min_speech: int = 20, hangover: int = 30, maximum: int = 0) -> Gate:
    return Gate(GateSettings(0.5, 0.35, min_speech, hangover, maximum), STEP)


def hear(picture: str, gate: Gate | None = None) -> list[Opened | Closed]:
    """`#` is loud, `~` between the two thresholds, `.` quiet; one sign a step of ten samples."""
    gate = gate or make()
    scores = {"#": 0.5, "~": 0.35, "-": 0.3499, ".": 0.0, "+": 0.4999}
    return [news for index, sign in enumerate(picture) for news in gate.feed(index * STEP, scores[sign])]


def test_a_sound_is_told_where_it_began_and_where_it_ended() -> None:
    assert hear("..####....") == [Opened(20), Closed(60)]


def test_a_click_is_not_speech() -> None:
    assert hear("...#......") == []


def test_min_speech_is_reached_exactly() -> None:
    assert hear("..##") == [Opened(20)]
    assert hear("..#.#.") == []


def test_a_brief_sound_ends_after_twice_the_hangover() -> None:
    def closed(score: list[float]) -> list[Closed]:
        gate = Gate(GateSettings(0.5, 0.35, min_speech=0, hangover=30, maximum=0, brief=50), STEP)
        found = [item for k, value in enumerate(score) for item in gate.feed(k * STEP, value)]
        return [item for item in found if isinstance(item, Closed)]

    loud = 50 // STEP
    assert closed([1.0] * loud + [0.0] * 3) == [Closed(50)]
    assert closed([1.0] * (loud - 1) + [0.0] * 5) == []
    assert closed([1.0] * (loud - 1) + [0.0] * 6) == [Closed(40)]


def test_a_pause_shorter_than_the_hangover_does_not_end_it() -> None:
    assert hear("###..##...") == [Opened(0), Closed(70)]
    assert hear("###...##") == [Opened(0), Closed(30), Opened(60)]


def test_it_opens_at_the_threshold_and_closes_only_below_the_release() -> None:
    assert hear("++++++") == []
    assert hear("##~~~~~~~") == [Opened(0)]
    assert hear("##-------") == [Opened(0), Closed(20)]


def test_a_long_sound_is_cut_and_goes_on() -> None:
    gate = make(maximum=50)

    news = hear("#" * 12, gate)

    assert news == [Opened(0), Closed(50, cut=True), Opened(50), Closed(100, cut=True), Opened(100)]
    assert gate.is_open


def test_the_end_of_the_stream_closes_it_where_the_sound_ended() -> None:
    gate = make()
    hear("####.", gate)
    assert gate.close(50) == [Closed(40)]
    assert gate.close(60) == []


def test_the_end_of_the_stream_closes_a_sound_that_goes_on() -> None:
    gate = make()
    hear("####", gate)
    assert gate.close(40) == [Closed(40)]


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
    news = [item for index, score in enumerate(scores) for item in gate.feed(index * STEP, score)]
    news += gate.close(len(scores) * STEP)

    assert [type(item) for item in news] == [Opened, Closed] * (len(news) // 2)
    positions = [item.position for item in news]
    assert positions == sorted(positions)
    for opened, closed in zip(news[::2], news[1::2], strict=True):
        assert closed.position >= opened.position  # equal only where a sound ended just where it was cut
        # a cut waits for the sound to count at all, and for the end of a pause
        assert not maximum or closed.position - opened.position <= max(maximum, min_speech + STEP) + hangover + STEP
