from __future__ import annotations

import msgspec

from earmark.protocol.events import Label, Result, Score, SecondLook, Unconfirmed, Why
from earmark_client.answers import ClassifierStatus
from earmark_client.because import label_reasons, result_reasons

TIME = "2026-11-22T07:31:05.120Z"
WORDS = ClassifierStatus(
    name="words",
    model="earmark/commands",
    mode="utterance",
    thresholds={"stop": 0.8, "go": 0.8},
    decide={"margin": 0.1, "refractory_ms": 400, "longest": 1.0},
)


def result(seq: int, stop: float, start: float = 0.0, suppressed: str = "") -> Result:
    scores = (Score(stop, "stop"), Score(0.05, "go"))
    return Result(seq, TIME, "desk", "words", start, start + 0.5, True, 0.1, scores, suppressed)


def command(score: float = 0.9, start: float = 10.0, length: float = 0.5) -> Label:
    why = Why(score, score, 0.8, 1, 1, "speech")
    end = start + length
    return Label(
        9,
        TIME,
        "desk",
        "words",
        "e-1",
        "stop",
        "on",
        start,
        score,
        end=end,
        reason="utterance",
        why=why,
        start_time=TIME,
    )


def test_a_command_is_explained_with_what_came_nearest_to_stopping_it() -> None:
    lines = label_reasons(command(), None, [result(7, 0.2), result(8, 0.9, 10.0)], WORDS, "")
    assert lines[0] == f"stop (words) at 10.00 s in the stream of desk, {TIME}: an utterance of 0.50 s."
    assert lines[1] == "Its score was 0.90, and its threshold 0.80: 0.10 above it."
    assert "What came nearest to stopping it: a threshold above 0.90; then" in "\n".join(lines)
    assert lines[-2:] == ["  ▂█  2 windows of stop, oldest first; ^ is 0.80 or more", "   ^"]


def test_of_a_group_the_member_that_spoke_is_told() -> None:
    why = Why(0.9, 0.9, 0.8, 1, 1, "level", member=Score(0.61, "Bark"))
    on = msgspec.structs.replace(command(), label="dog", why=why)
    lines = label_reasons(on, None, [], None, "")
    assert "It is a group, and Bark spoke in it: 0.61 in the newest window." in lines


def test_a_second_look_is_told_whether_it_confirmed_or_not() -> None:
    why = Why(0.9, 0.9, 0.8, 1, 1, "speech", second=SecondLook("a/second", 0.75, 0.5))
    assert "a/second looked a second time and confirmed it: 0.75, with a threshold of 0.50." in label_reasons(
        msgspec.structs.replace(command(), why=why), None, [], None, ""
    )
    refused = (Unconfirmed("stop", "a/second", 0.21, 0.5),)
    doubted = msgspec.structs.replace(result(8, 0.9), suppressed="not confirmed by a/second 0.21", unconfirmed=refused)
    lines = result_reasons(doubted, [], WORDS, "")
    assert lines[1] == (
        "stop would have gone on, but a/second looked a second time and did not confirm it: 0.21,"
        " with a threshold of 0.50."
    )
    assert not any("suppressed" in line for line in lines)


def test_its_length_is_named_first_where_it_was_nearly_too_long() -> None:
    lines = label_reasons(command(length=0.98), None, [result(8, 0.9, 10.0)], WORDS, "")
    assert "What came nearest to stopping it: its length, had it been 0.02 s longer (`longest`)" in "\n".join(lines)


def test_a_label_that_lasts_tells_the_windows_in_a_row_and_why_it_ended() -> None:
    why = Why(0.81, 0.77, 0.6, 3, 3, "speech")
    on = Label(9, TIME, "desk", "emotion", "e-1", "happy", "on", 12.32, 0.77, why=why, start_time=TIME)
    off = Label(12, TIME, "desk", "emotion", "e-1", "happy", "off", 12.32, end=19.32, peak=0.93, reason="replaced")
    text = "\n".join(label_reasons(on, off, [], None, ""))
    assert "on for 7.00 s, until another label took over." in text
    assert "Its score was 0.77 (the mean; of the newest window alone 0.81), and its threshold 0.60" in text
    assert "It needed 3 windows in a row above the threshold, and had 3." in text
    assert "The results before it are not kept any more." in text


def test_a_result_says_why_no_label_began() -> None:
    low = result_reasons(result(8, 0.43), [result(8, 0.43)], WORDS, "")
    assert "No label began: stop is 0.37 below its threshold, 0.80." in low
    again = result_reasons(result(8, 0.9, suppressed="refractory"), [], WORDS, "")
    assert again[1] == (
        "stop would have gone on, but it was suppressed: the same label had just fired (`refractory_ms`)."
    )


def test_settings_that_were_changed_since_are_told() -> None:
    lines = label_reasons(command(), None, [], WORDS, "2026-11-22T08:00:00.000Z")
    assert lines[-1].startswith("The daemon was changed since then, first at 2026-11-22T08:00:00.000Z")
