from __future__ import annotations

import json
from typing import Any

from earmark.broadcast.sink import Published
from earmark.protocol.events import Label, Loss, Numbered, Result, Score, Source, SourceInfo, encode
from earmark.publish.layout import Heard, Layout
from earmark.publish.outbox import Kind, Message
from earmark.publish.present import Present
from earmark.publish.topics import Topics

TIME = "2026-11-22T07:31:05.120Z"
EMOTION = Heard("desk", "emotion", "earmark/emotion", False, ("happy", "calm", "sad"), ("happy", "calm"))
COMMANDS = Heard("desk", "commands", "earmark/commands", True, ("go", "stop"), ())
LAYOUT = Layout(("desk",), (EMOTION, COMMANDS))
SECOND = 1_000_000_000
UNDER = "earmark/home/desk/"


def present(every: float | None = 1.0) -> Present:
    made = Present(Topics("earmark", "home"), every)
    made.lay_out(LAYOUT, [SourceInfo("desk", "listening", "USB")])
    return made


def published(event: Numbered) -> Published:
    return Published(event, encode(event))


def on(identity: str, label: str, score: float = 0.7) -> Label:
    return Label(1, TIME, "desk", "emotion", identity, label, "on", 1.0, score=score, start_time=TIME)


def off(identity: str, label: str) -> Label:
    return Label(2, TIME, "desk", "emotion", identity, label, "off", 1.0, end=3.0, reason="quiet")


def command(label: str) -> Label:
    return Label(3, TIME, "desk", "commands", "c", label, "on", 1.0, score=0.9, end=1.5, reason="utterance")


def result(seq: int) -> Result:
    return Result(seq, TIME, "desk", "emotion", 1.0, 2.0, result=(Score(0.5, "happy"),))


def changed(present: Present, event: Numbered, now: float = 0.0) -> dict[str, Any]:
    """The payloads by topic; those that are JSON as what they mean."""
    return told(present.changes(published(event), int(now * SECOND)))


def told(messages: list[Message]) -> dict[str, Any]:
    return {
        each.topic.removeprefix(UNDER): json.loads(each.payload)
        if each.payload.startswith(b"{")
        else each.payload.decode()
        for each in messages
    }


NOTHING = {"label": None, "score": None, "since": None}


def test_a_label_that_lasts_is_on_until_its_off() -> None:
    now = present()
    assert changed(now, on("1", "happy")) == {
        "emotion/label/happy": "ON",
        "emotion/current": {"label": "happy", "score": 0.7, "since": TIME, "on": ["happy"]},
    }
    assert changed(now, off("1", "happy")) == {
        "emotion/label/happy": "OFF",
        "emotion/current": NOTHING | {"on": []},
    }


def test_of_several_labels_the_newest_is_the_current_one() -> None:
    now = present()
    changed(now, on("1", "happy"))
    assert changed(now, on("2", "calm"))["emotion/current"]["on"] == ["happy", "calm"]
    assert changed(now, off("2", "calm"))["emotion/current"]["label"] == "happy"


def test_a_label_without_a_topic_of_its_own_is_told_as_the_current_one() -> None:
    assert list(changed(present(), on("1", "sad"))) == ["emotion/current"]


def test_a_command_is_an_event_and_stays_the_last_one() -> None:
    now = present()
    found = changed(now, command("stop"))
    assert list(found) == ["commands/event", "commands/current"]
    assert found["commands/event"] == json.loads(encode(command("stop"))) | {"event_type": "stop"}
    assert found["commands/current"] == {"label": "stop", "score": 0.9, "since": TIME}
    assert told(now.whole())["commands/current"]["label"] == "stop"


def test_a_command_is_no_state_and_a_label_is_one() -> None:
    kinds = {each.topic.removeprefix(UNDER): each.kind for each in present().changes(published(command("go")), 5)}
    assert kinds == {"commands/event": Kind.EVENT, "commands/current": Kind.STATE}


def test_a_source_that_delivers_no_sound_is_away() -> None:
    now = present()
    lost = Source(4, TIME, "desk", "lost", "gone", "USB")
    assert changed(now, lost) == {
        "availability": "offline",
        "state": {"state": "lost", "detail": "gone", "device": "USB"},
    }
    for state, there in (("quiet", "online"), ("paused", "offline"), ("clipping", "online"), ("stopped", "offline")):
        assert changed(now, Source(5, TIME, "desk", state))["availability"] == there  # type: ignore[arg-type]


def test_at_most_one_result_in_a_second_goes_out_and_the_newest_follows() -> None:
    now = present()
    assert list(changed(now, result(1), 10.0)) == ["emotion/result"]
    assert changed(now, result(2), 10.2) == changed(now, result(3), 10.9) == {}
    assert now.next_due() == 11.0
    assert now.due(int(10.9 * SECOND)) == []
    assert told(now.due(11 * SECOND))["emotion/result"]["seq"] == 3
    assert now.next_due() is None


def test_suppressed_results_and_those_that_nobody_wants_are_not_sent() -> None:
    suppressed = Result(1, TIME, "desk", "emotion", 1.0, 2.0, suppressed="margin")
    assert changed(present(), suppressed) == changed(present(every=None), result(1)) == {}
    assert changed(present(), Loss(1, TIME, "desk", 1.0, 2.0, "device")) == {}


def test_the_whole_has_every_topic_once_and_labels_that_are_off_too() -> None:
    now = present()
    changed(now, on("1", "happy"))
    whole = now.whole()
    assert told(whole) == {
        "availability": "online",
        "state": {"state": "listening", "detail": "", "device": "USB"},
        "emotion/current": {"label": "happy", "score": 0.7, "since": TIME, "on": ["happy"]},
        "emotion/label/happy": "ON",
        "emotion/label/calm": "OFF",
        "commands/current": NOTHING,
    }
    assert {each.kind for each in whole} == {Kind.STATE}
    assert now.topics() == [each.topic for each in whole]


def test_at_the_end_every_label_is_off_and_every_source_away() -> None:
    now = present()
    changed(now, on("1", "happy"))
    assert told(now.end()) == {
        "availability": "offline",
        "emotion/label/happy": "OFF",
        "emotion/label/calm": "OFF",
        "emotion/current": NOTHING | {"on": []},
    }
    assert told(now.whole())["emotion/label/happy"] == "OFF"


def test_a_change_of_the_configuration_keeps_what_is_on_and_forgets_what_is_gone() -> None:
    now = present()
    changed(now, on("1", "happy"))
    changed(now, command("stop"))
    now.lay_out(Layout(("desk",), (EMOTION,)), [SourceInfo("desk", "quiet")])
    whole = told(now.whole())
    assert (whole["emotion/label/happy"], "commands/current" in whole) == ("ON", False)
    assert changed(now, command("go")) == {}
    now.lay_out(LAYOUT, [SourceInfo("desk", "quiet")])
    assert told(now.whole())["commands/current"] == NOTHING
