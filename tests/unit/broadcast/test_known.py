from __future__ import annotations

import pytest

from earmark.broadcast.known import Known
from earmark.broadcast.subscription import parse
from earmark.errors import SubscriptionError
from earmark.protocol.events import ClassifierInfo, Hello, SourceInfo

KNOWN = Known(
    ("desk", "door"),
    {
        "commands": ("stop", "go"),
        "emotion": ("happy", "calm"),
        "events": ("Dog", "Male speech, man speaking"),
    },
)


def refusal(known: Known, **query: str) -> str:
    with pytest.raises(SubscriptionError) as caught:
        known.check(parse(query))
    return str(caught.value)


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"sources": "desk,door", "classifiers": "emotion"},
        {"labels": "stop,calm"},
        {"labels": '"Male speech, man speaking"', "classifiers": "events,emotion"},
        {"types": "label", "min_score": "0.5"},
    ],
)
def test_names_that_exist_pass(query: dict[str, str]) -> None:
    KNOWN.check(parse(query))


def test_a_name_that_does_not_exist_is_told_with_those_that_do() -> None:
    assert refusal(KNOWN, classifiers="emotions") == (
        "classifiers: there is no classifier emotions; did you mean emotion? known are commands, emotion, events"
    )
    assert refusal(KNOWN, sources="desk,kitchen") == ("sources: there is no source kitchen; known are desk, door")
    assert refusal(KNOWN, labels="Stop") == (
        "labels: there is no label Stop; did you mean stop? "
        'known are stop, go, happy, calm, Dog, "Male speech, man speaking"'
    )


def test_a_label_with_a_comma_that_was_not_quoted_is_told_how() -> None:
    assert 'did you mean "Male speech, man speaking"?' in refusal(KNOWN, labels="Male speech, man speaking")


def test_a_label_that_the_chosen_classifiers_lack_is_told() -> None:
    assert refusal(KNOWN, labels="stop", classifiers="emotion") == (
        "labels: there is no emotion label stop; known are happy, calm"
    )


def test_long_names_are_cut_and_long_lists_too() -> None:
    many = Known((), {"events": [f"label{number}" for number in range(527)]})
    told = refusal(many, labels="x" * 1000)
    assert (
        told
        == f"labels: there is no label {'x' * 64}; known are "
        + ", ".join(f"label{number}" for number in range(20))
        + " and 507 more"
    )


def test_where_there_is_none_that_is_told() -> None:
    assert refusal(Known((), {}), sources="desk") == "sources: there is no source desk; there is none at all"


def test_labels_pass_while_those_of_a_classifier_are_not_known() -> None:
    Known((), {"later": (), "commands": ("stop",)}).check(parse({"labels": "anything"}))


def test_what_hello_tells_is_known() -> None:
    info = ClassifierInfo("commands", "earmark/commands", ("stop",), ("desk",), "speech", "utterance", 1.0, 0.0)
    told = Hello("1", "e", 1, 1, (SourceInfo("desk", "lost"),), (info,))
    assert Known.of(told) == Known(("desk",), {"commands": ("stop",)})
