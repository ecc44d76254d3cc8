from __future__ import annotations

import pytest

from earmark.errors import SubscriptionError
from earmark_client.steer import assignments, parse_changes, sources_table, told


def test_assignments_become_the_json_of_a_patch() -> None:
    assert parse_changes(["decide.on=0.7", "decide.exclusive=false", "vad.hangover_ms=200"]) == {
        "decide": {"on": 0.7, "exclusive": False},
        "vad": {"hangover_ms": 200},
    }


def test_labels_have_thresholds_of_their_own_and_lose_them() -> None:
    assert parse_changes(["decide.labels.stop=0.9", "decide.labels.a.b=c=0.5", "decide.labels.go=null"]) == {
        "decide": {"labels": {"stop": 0.9, "a.b=c": 0.5, "go": None}}
    }


def test_settings_are_shown_as_they_can_be_given() -> None:
    settings = {"decide": {"on": 0.7, "ignore": ["a"], "labels": {"stop": 0.9, "a.b=c": 0.5}}, "vad": {"max_ms": 10}}
    lines = assignments({"name": "commands", **settings})
    assert lines[:2] == ["decide.on=0.7", 'decide.ignore=["a"]']
    assert parse_changes(lines) == settings


def test_what_is_not_json_is_a_text_and_the_daemon_judges_it() -> None:
    assert parse_changes(["decide.on=loud", 'decide.ignore=["a","b"]']) == {
        "decide": {"on": "loud", "ignore": ["a", "b"]}
    }


@pytest.mark.parametrize("wrong", ["on=0.7", "decide=0.7", "decide.on", "decide.=1", "hop=1", ".on=1", ""])
def test_anything_else_is_refused_with_an_example(wrong: str) -> None:
    with pytest.raises(SubscriptionError, match=r"is not decide\.KEY=VALUE or vad\.KEY=VALUE, such as"):
        parse_changes([wrong])


def test_each_change_is_a_line_and_what_needs_a_restart_is_one() -> None:
    changed = [{"key": "classifier[a].decide.on", "before": 0.8, "after": 0.7}]
    assert told({"changed": changed, "restart": ["server.listen", "worker.device"]}) == [
        "classifier[a].decide.on: 0.8 -> 0.7",
        "needs a restart, and stays as it is: server.listen, worker.device",
    ]
    assert told({"changed": [], "restart": []}) == ["nothing changed"]


def test_sources_are_a_table() -> None:
    sources = [
        {"name": "a", "state": "listening", "device": "USB", "rate": 16000, "detail": ""},
        {"name": "door", "state": "lost", "device": "", "rate": 0, "detail": "it is\x1b gone"},
    ]
    assert sources_table(sources).splitlines() == [
        "source  state      device  rate",
        "a       listening  USB     16000 Hz",
        "door    lost                         it is? gone",
    ]


def test_labels_that_are_given_are_a_list_or_stand_between_commas_and_a_template_is_a_text() -> None:
    assert parse_changes(["labels= a dog = barking, rain,", 'background=["speech, far"]', "template=I hear {}="]) == {
        "labels": ["a dog = barking", "rain"],
        "background": ["speech, far"],
        "template": "I hear {}=",
    }
    assert parse_changes(["background="]) == parse_changes(["background=null"]) == {"background": []}
    label_set = {"labels": ["a", "b"], "background": ["c, d"], "template": "{}"}
    lines = assignments({"name": "house", "label_set": label_set, "decide": {}, "vad": {}})
    assert lines == ['labels=["a","b"]', 'background=["c, d"]', 'template="{}"']
    assert parse_changes(lines) == label_set
    assert parse_changes(["template={}"]) == {"template": "{}"}
