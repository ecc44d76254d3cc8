"""What the parameters of a request may be; those of trained models are tested with requests as a whole."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from earmark.errors import RequestError
from earmark.parameters.parameters import MAX_LABELS_BYTES, Parameters, gathered, parameters_in, with_query


def read(content: Any, **query: str) -> Parameters:
    return with_query(parameters_in(msgspec.Raw(json.dumps(content).encode())), query)


def refusal(content: Any, **query: str) -> str:
    with pytest.raises(RequestError) as caught:
        read(content, **query)
    assert caught.value.status == 400
    return str(caught.value)


@pytest.mark.parametrize("nothing", [{}, None, {"candidate_labels": None, "unknown": [{}]}])
def test_without_labels_there_are_none(nothing: Any) -> None:
    assert read(nothing) == Parameters()


def test_labels_are_a_list_or_a_text_and_the_body_goes_before_the_query() -> None:
    listed = read({"candidate_labels": ["a dog", "rain"], "hypothesis_template": "I hear {}", "top_k": 1.0})
    assert listed == Parameters(1, None, ("a dog", "rain"), "I hear {}")
    assert read({}, candidate_labels="a dog,rain", hypothesis_template="{}") == Parameters(
        candidate_labels="a dog,rain", hypothesis_template="{}"
    )
    both = read({"candidate_labels": ["wind"]}, candidate_labels="rain", hypothesis_template="{}")
    assert both == Parameters(candidate_labels=("wind",), hypothesis_template="{}")


@pytest.mark.parametrize("labels", [3, True, {"a": 1}, ["a", 3], ["a", None]])
def test_labels_of_another_kind_are_refused_by_name(labels: Any) -> None:
    assert refusal({"candidate_labels": labels}) == (
        "Invalid value for `candidate_labels`: it must be a list of texts, or one text with commas between them"
    )


@pytest.mark.parametrize("template", [3, ["{}"], {}])
def test_a_template_of_another_kind_is_refused_by_name(template: Any) -> None:
    assert refusal({"hypothesis_template": template}) == "Invalid value for `hypothesis_template`: it must be a text"


def test_more_labels_than_a_model_could_read_are_refused_before_they_are_read() -> None:
    for name in ("candidate_labels", "hypothesis_template"):
        sentence = f"Invalid value for `{name}`: it is longer than 400000 bytes"
        assert refusal({name: [""] * (MAX_LABELS_BYTES // 2)}) == sentence
    assert read({"unknown": ["x"] * MAX_LABELS_BYTES}) == Parameters()


def test_labels_that_come_one_by_one_add_up_and_of_all_else_the_last_counts() -> None:
    pairs = [("top_k", "1"), ("candidate_labels", "a dog"), ("top_k", "2"), ("candidate_labels", "rain,wind")]
    assert gathered(pairs) == {"top_k": "2", "candidate_labels": "a dog,rain,wind"}
    assert gathered([("candidate_labels", "")]) == {"candidate_labels": ""}
