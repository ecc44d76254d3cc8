"""Requests for one clip, read without a server."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.core.clip import Options, Parameters, answer, read, switch
from earmark.errors import RequestError


def body(**content: Any) -> bytes:
    return json.dumps({"inputs": base64.b64encode(b"RIFF").decode()} | content).encode()


def refusal(content: bytes, query: dict[str, str] | None = None) -> str:
    with pytest.raises(RequestError) as caught:
        read(content, query or {})
    assert caught.value.status == 400
    return str(caught.value)


@given(st.binary())
def test_what_is_no_json_object_is_audio_as_it_is(content: bytes) -> None:
    if content.lstrip(b" \t\r\n")[:1] != b"{" and content[:2] != b"--":
        assert read(content, {}).audio == content


@given(st.binary(), st.sampled_from([b"", b" ", b"\r\n\t "]))
def test_base64_in_json_is_read_back(audio: bytes, space: bytes) -> None:
    content = space + json.dumps({"inputs": base64.b64encode(audio).decode()}).encode()
    assert read(content, {}).audio == audio
    assert read(content.replace(b"/", b"\\/"), {}).audio == audio


def test_parameters_of_the_body_go_before_those_of_the_query() -> None:
    query = {"top_k": "2", "function_to_apply": "none"}
    assert read(b"RIFF", query).parameters == Parameters(2, "none")
    assert read(body(parameters={"top_k": 3}), query).parameters == Parameters(3, "none")
    assert read(body(parameters=None), {}).parameters == Parameters()
    assert read(body(parameters={"top_k": 3}), {"top_k": "wrong"}).parameters.top_k == 3


def test_options_are_read_leniently() -> None:
    assert read(body(options={"use_cache": False, "wait_for_model": True}), {}).options == Options(False, True)
    odds: tuple[Any, ...] = (None, 3, [], {"use_cache": "no", "wait_for_model": 1})
    for odd in odds:
        assert read(body(options=odd), {}).options == Options()


@pytest.mark.parametrize("top_k", [-1, True, "3", 2.0, [], {}])
def test_a_wrong_top_k_is_named(top_k: object) -> None:
    assert (
        refusal(body(parameters={"top_k": top_k})) == "Invalid value for `top_k`: it must be a whole number, 0 or more"
    )


@pytest.mark.parametrize("function", ["tanh", "Softmax", "", 3, None])
def test_a_wrong_function_is_repeated_and_the_right_ones_listed(function: object) -> None:
    if function is None:
        assert read(body(parameters={"function_to_apply": None}), {}).parameters.function_to_apply is None
        return
    sentence = f"Invalid value for `function_to_apply`: {function}. Valid options are ['softmax', 'sigmoid', 'none']"
    assert refusal(body(parameters={"function_to_apply": function})) == sentence


def test_what_a_client_sent_is_repeated_in_part_only() -> None:
    assert len(refusal(body(parameters={"function_to_apply": "x" * 10_000}))) < 300


def test_a_form_holds_a_file_or_json() -> None:
    def form(content: bytes) -> bytes:
        head = b'--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'
        return head + content + b"\r\n--b--\r\n"

    assert read(form(b"RIFF\r\n\r\n--c"), {}).audio == b"RIFF\r\n\r\n--c"
    assert read(form(body()), {}).audio == b"RIFF"
    unfinished = form(b"RIFF").removesuffix(b"\r\n--b--\r\n")
    assert read(unfinished, {}).audio == unfinished


@pytest.mark.parametrize(
    ("value", "says"),
    [("true", True), ("1", True), (" TRUE ", True), ("false", False), ("0", False), ("False", False)],
)
def test_a_switch_says_yes_or_no(value: str, says: bool) -> None:
    assert switch(value, not says) is says


def test_a_switch_that_says_nothing_leaves_the_default() -> None:
    assert switch(None, True) is switch("maybe", True) is True
    assert switch("", False) is False


def test_the_answer_is_compact_with_the_score_first() -> None:
    scores = np.array([0.25, 0.5, 0.25], np.float32)
    assert answer(("a", "b", "c"), scores, 2) == b'[{"score":0.5,"label":"b"},{"score":0.25,"label":"a"}]'
    assert answer(("a", "b", "c"), scores, 0) == b"[]"
