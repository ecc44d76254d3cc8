from __future__ import annotations

import pytest

from earmark.analysis.question import Question, parse_question
from earmark.errors import RequestError

KNOWN = ("commands", "emotion", "a, b")


def test_without_parameters_every_classifier_hears_the_source_analyze() -> None:
    assert parse_question([], KNOWN) == Question(KNOWN, "analyze", False)


def test_classifiers_are_chosen_by_name_in_the_order_of_the_configuration() -> None:
    asked = parse_question([("classifiers", '"a, b",commands'), ("source", "call-7"), ("scores", "all")], KNOWN)
    assert asked == Question(("commands", "a, b"), "call-7", True)


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ([("classifers", "emotion")], "classifers: no such parameter; did you mean classifiers?"),
        ([("classifiers", "emotio")], "classifiers: there is no classifier 'emotio'; did you mean emotion?"),
        ([("classifiers", 'a"b",')], "classifiers: there is no classifier 'a\"b\"'; there are commands, emotion, a, b"),
        ([("classifiers", '"a')], "classifiers: a name between double quotes must end with one"),
        ([("scores", "top")], "scores: 'top' is not known; write all, or leave it out"),
        ([("source", "")], "source: a name has 1 to 100 characters"),
        ([("source", "x" * 101)], "source: a name has 1 to 100 characters"),
        ([("source", "a"), ("source", "b")], "source: given more than once"),
    ],
)
def test_a_wrong_parameter_is_named(parameters: list[tuple[str, str]], sentence: str) -> None:
    with pytest.raises(RequestError) as refusal:
        parse_question(parameters, KNOWN)
    assert refusal.value.status == 400
    assert str(refusal.value).startswith(sentence)


def test_a_daemon_without_classifiers_says_so() -> None:
    with pytest.raises(RequestError, match="the daemon has none"):
        parse_question([], ())
