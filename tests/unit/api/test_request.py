"""Requests for one clip, read without a server."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.api.request import (
    ErrorBody,
    Options,
    ParsedRequest,
    Status,
    encode_scores,
    parse_request,
    parse_switch,
)
from earmark.errors import RequestError
from earmark.parameters.parameters import Parameters


def body(**content: Any) -> bytes:
    return json.dumps({"inputs": base64.b64encode(b"RIFF").decode()} | content).encode()


def form(content: bytes) -> bytes:
    head = b'--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'
    return head + content + b"\r\n--b--\r\n"


def refusal(content: bytes, query: dict[str, str] | None = None) -> str:
    with pytest.raises(RequestError) as caught:
        parse_request(content, query or {})
    assert caught.value.status == 400
    return str(caught.value)


TOP_K = "Invalid value for `top_k`: it must be a whole number, 0 or more"
PARAMETERS = "`parameters` must be an object with `top_k` and `function_to_apply`"
ODD_INPUTS: tuple[object, ...] = (None, 5, True, ["UklGRg=="], {})
INPUTS = "`inputs` is missing or no string: it must hold the audio file in base64"


@given(st.binary())
def test_a_body_that_is_no_json_object_is_audio_as_it_is(content: bytes) -> None:
    if content.lstrip(b" \t\r\n")[:1] != b"{" and content[:2] != b"--":
        assert parse_request(content, {}).audio == content


@given(st.binary(), st.sampled_from([b"", b" ", b"\r\n\t "]))
def test_base64_in_json_is_read_back(audio: bytes, space: bytes) -> None:
    content = space + json.dumps({"inputs": base64.b64encode(audio).decode()}).encode()
    assert parse_request(content, {}).audio == audio
    assert parse_request(content.replace(b"/", b"\\/"), {}).audio == audio


@pytest.mark.parametrize("content", [b"{", b"{}x", b'{"inputs": "\xff"', b'{"a" 1}', b"{" * 100_000, b'{"a":' * 5000])
def test_a_body_that_begins_as_json_and_is_none_is_told_as_json_with_the_reason(content: bytes) -> None:
    told = refusal(content)
    assert told.startswith("the body begins with { and is not JSON: ")
    assert len(told) < 200


@pytest.mark.parametrize("space", [b"", b" \r\n"])
def test_json_may_begin_with_a_byte_order_mark(space: bytes) -> None:
    content = b"\xef\xbb\xbf" + space + body(parameters={"top_k": 2})
    found = parse_request(content, {})
    assert (found.audio, found.parameters.top_k) == (b"RIFF", 2)
    assert refusal(b"\xef\xbb\xbf{").startswith("the body begins with { and is not JSON: ")


def test_a_byte_order_mark_before_audio_stays_with_it() -> None:
    assert parse_request(b"\xef\xbb\xbfRIFF", {}).audio == b"\xef\xbb\xbfRIFF"


@pytest.mark.parametrize("text", ["UklG\nRg==", "UklG\r\nRg==\r\n", "\nUklGRg==", "UklGRg\n=="])
def test_base64_may_have_line_breaks(text: str) -> None:
    assert parse_request(body(inputs=text), {}).audio == b"RIFF"


@pytest.mark.parametrize(("number", "top_k"), [("3.0", 3), ("0.0", 0), ("3e0", 3), ("12.000", 12)])
def test_top_k_may_be_a_whole_number_with_a_point(number: str, top_k: int) -> None:
    content = b'{"inputs": "", "parameters": {"top_k": %s, "function_to_apply": "none"}}' % number.encode()
    assert parse_request(content, {}).parameters == Parameters(top_k, "none")


@pytest.mark.parametrize(("text", "top_k"), [("3.0", 3), ("3.", 3), ("03", 3)])
def test_top_k_in_the_query_may_be_a_whole_number_with_a_point(text: str, top_k: int) -> None:
    assert parse_request(b"RIFF", {"top_k": text}).parameters.top_k == top_k


@pytest.mark.parametrize("content", [b"{}", b' {"input": "UklGRg=="}', *(body(inputs=odd) for odd in ODD_INPUTS)])
def test_json_whose_inputs_are_no_string_says_what_is_wanted(content: bytes) -> None:
    assert refusal(content) == INPUTS


@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [
        ("not base64!", "Only base64 data is allowed"),
        ("UklG Rg==", "Only base64 data is allowed"),
        ("UklG-_==", "Only base64 data is allowed"),
        ("https://example.org/a.wav", "Only base64 data is allowed"),
        ("ä", "Only base64 data is allowed"),
        ('"', "Only base64 data is allowed"),
        ("UklGRg", "Incorrect padding"),
        ("UklGRg=", "Incorrect padding"),
        ("UklGR", "Incorrect padding"),
        ("A", "Incorrect padding"),
        ("====", "Incorrect padding"),
        ("UklGRg===", "Incorrect padding"),
        ("UklGRg==UklG", "Incorrect padding"),
    ],
)
def test_inputs_that_are_no_base64_are_told_from_wrong_padding(inputs: str, sentence: str) -> None:
    assert refusal(body(inputs=inputs)) == sentence


def test_bytes_that_are_made_beside_the_body_are_counted_before() -> None:
    class Stop(Exception):
        pass

    def made(content: bytes) -> list[int]:
        counted: list[int] = []
        parse_request(content, {}, counted.append)
        return counted

    def stop(count: int) -> None:
        raise Stop

    assert made(b"RIFF") == []
    assert made(form(b"RIFF")) == [4]
    assert made(b'{"inputs": "UklGRg=="}') == [6]
    assert made(b'{"inputs": "Uk\\u006cGRg=="}') == [2 * len('"Uk\\u006cGRg=="'), 6]
    for content in (form(b"RIFF"), body()):
        with pytest.raises(Stop):
            parse_request(content, {}, stop)


def test_inputs_may_be_empty_and_escaped() -> None:
    assert parse_request(b'{"inputs": ""}', {}).audio == b""
    assert parse_request(rb'{"inputs": "\u0055klG\u0052g=="}', {}).audio == b"RIFF"


def test_parameters_of_the_body_go_before_those_of_the_query() -> None:
    query = {"top_k": "2", "function_to_apply": "none"}
    assert parse_request(b"RIFF", query).parameters == Parameters(2, "none")
    silent: tuple[dict[str, Any], ...] = ({}, {"parameters": None}, {"parameters": {}}, {"parameters": {"top_k": None}})
    for nothing in silent:
        assert parse_request(body(**nothing), query).parameters == Parameters(2, "none")
        assert parse_request(body(**nothing), {}).parameters == Parameters()
    assert parse_request(body(parameters={"top_k": 3}), query).parameters == Parameters(3, "none")
    assert parse_request(body(parameters={"top_k": 0}), query).parameters == Parameters(0, "none")
    assert parse_request(body(parameters={"function_to_apply": "sigmoid"}), query).parameters == Parameters(
        2, "sigmoid"
    )


def test_a_wrong_value_in_the_query_is_not_looked_at_where_the_body_has_one() -> None:
    wrong = {"top_k": "wrong", "function_to_apply": "wrong"}
    given = {"top_k": 0, "function_to_apply": "softmax"}
    assert parse_request(body(parameters=given), wrong).parameters == Parameters(0, "softmax")
    assert refusal(body(parameters={"function_to_apply": "softmax"}), wrong) == TOP_K
    assert refusal(body(parameters={"top_k": 0}), wrong).startswith("Invalid value for `function_to_apply`: wrong.")


@pytest.mark.parametrize("content", [b"RIFF", body()])
@pytest.mark.parametrize("top_k", ["", "-1", "+1", "2.5", "x", "²", "٣", "1 2"])
def test_a_wrong_top_k_in_the_query_is_named(content: bytes, top_k: str) -> None:
    assert refusal(content, {"top_k": top_k}) == TOP_K


@pytest.mark.parametrize(("top_k", "count"), [("0", 0), (" 7 ", 7), ("007", 7), ("1" * 18, int("1" * 18))])
def test_top_k_in_the_query_is_digits(top_k: str, count: int) -> None:
    assert parse_request(b"RIFF", {"top_k": top_k}).parameters.top_k == count


def test_endless_digits_in_the_query_are_as_good_as_all() -> None:
    assert parse_request(b"RIFF", {"top_k": "9" * 5000}).parameters.top_k == 10**18 - 1


@pytest.mark.parametrize("content", [b"RIFF", body()])
@pytest.mark.parametrize("function", ["", "tanh", "Softmax", " none"])
def test_a_wrong_function_in_the_query_is_repeated_and_the_right_ones_listed(content: bytes, function: str) -> None:
    sentence = f"Invalid value for `function_to_apply`: {function}. Valid options are ['softmax', 'sigmoid', 'none']"
    assert refusal(content, {"function_to_apply": function}) == sentence


@pytest.mark.parametrize("parameters", [3, True, "top_k", [], [1], 2.5])
def test_parameters_that_are_no_object_are_refused(parameters: object) -> None:
    assert refusal(body(parameters=parameters)) == PARAMETERS


@pytest.mark.parametrize(
    "wrong", [b"{'top_k': 1}", b'{"top_k": 1.}', b'{"top_k": 01}', b'{"top_k": 1,}', b"top_k", b""]
)
def test_a_body_whose_parameters_are_no_json_is_no_json_and_says_where(wrong: bytes) -> None:
    content = b'{"inputs": "UklGRg==", "parameters": ' + wrong + b"}"
    told = refusal(content)
    assert told.startswith("the body begins with { and is not JSON: ")
    assert "(byte " in told


def test_unknown_fields_are_passed_over() -> None:
    content = body(parameters={"top_k": 1, "x": {"top_k": -1}}, more=[{"inputs": 5}], options={"x": 1})
    assert parse_request(content, {}) == ParsedRequest(b"RIFF", Parameters(1), Options())


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b'{"inputs": "\xff"}', "Only base64 data is allowed"),
        (b'{"inputs": "\xff\\u0055"}', "Only base64 data is allowed"),
        (
            b'{"inputs": "", "parameters": {"function_to_apply": "a\xff"}}',
            "Invalid value for `function_to_apply`: a\ufffd. Valid options are ['softmax', 'sigmoid', 'none']",
        ),
        (
            b'{"inputs": "", "parameters": {"\xff": 1, "function_to_apply": ["\xff"]}}',
            "Invalid value for `function_to_apply`: [\"\ufffd\"]. Valid options are ['softmax', 'sigmoid', 'none']",
        ),
        (b'{"inputs": "", "parameters": "\xff"}', PARAMETERS),
        (b'{"inputs": "", "parameters": {"top_k": "\xff"}}', TOP_K),
    ],
)
def test_broken_utf_8_is_a_sentence_and_no_crash(content: bytes, sentence: str) -> None:
    assert refusal(content) == sentence


@pytest.mark.parametrize("odd", [b'"\xff"', b"1e999"])
def test_options_that_cannot_be_read_say_nothing(odd: bytes) -> None:
    content = b'{"inputs": "", "options": {"use_cache": false, "x": ' + odd + b"}}"
    assert parse_request(content, {}).options == Options()


def test_options_are_read_leniently() -> None:
    assert parse_request(body(options={"use_cache": False, "wait_for_model": True}), {}).options == Options(False, True)
    assert parse_request(body(options={"use_cache": False}), {}).options == Options(False, False)
    assert parse_request(body(options={"use_cache": True, "wait_for_model": False}), {}).options == Options(True, False)
    odds: tuple[Any, ...] = (None, 3, [], "no", {}, {"use_cache": "no", "wait_for_model": 1}, {"use_cache": None})
    for odd in odds:
        assert parse_request(body(options=odd), {}).options == Options(use_cache=True, wait_for_model=False)
    assert parse_request(body(), {}).options == Options(use_cache=True, wait_for_model=False)


@pytest.mark.parametrize("top_k", [-1, True, False, "3", "", 2.5, 1e300, [], {}, -(10**18)])
def test_a_wrong_top_k_is_named(top_k: object) -> None:
    assert refusal(body(parameters={"top_k": top_k})) == TOP_K


@pytest.mark.parametrize(
    ("function", "shown"),
    [("tanh", "tanh"), ("Softmax", "Softmax"), ("", ""), (3, "3"), (True, "true"), (["none"], '["none"]'), ({}, "{}")],
)
def test_a_wrong_function_is_repeated_and_the_right_ones_listed(function: object, shown: str) -> None:
    sentence = f"Invalid value for `function_to_apply`: {shown}. Valid options are ['softmax', 'sigmoid', 'none']"
    assert refusal(body(parameters={"function_to_apply": function})) == sentence


@pytest.mark.parametrize("function", ["softmax", "sigmoid", "none", None])
def test_every_function_is_taken_and_null_is_none(function: Any) -> None:
    assert parse_request(body(parameters={"function_to_apply": function}), {}).parameters == Parameters(None, function)
    if function is not None:
        assert parse_request(b"RIFF", {"function_to_apply": function}).parameters == Parameters(None, function)


@pytest.mark.parametrize("length", [99, 100, 101, 10_000])
def test_a_client_s_text_is_repeated_in_its_first_hundred_characters_only(length: int) -> None:
    begin, end = "Invalid value for `function_to_apply`: ", ". Valid options are ['softmax', 'sigmoid', 'none']"
    sentence = begin + "x" * min(length, 100) + end
    assert refusal(body(parameters={"function_to_apply": "x" * length})) == sentence
    assert refusal(b"RIFF", {"function_to_apply": "x" * length}) == sentence


def test_a_form_holds_a_file_or_json() -> None:
    assert parse_request(form(b"RIFF\r\n\r\n--c"), {}).audio == b"RIFF\r\n\r\n--c"
    assert parse_request(form(body()), {}).audio == b"RIFF"
    unfinished = form(b"RIFF").removesuffix(b"\r\n--b--\r\n")
    assert parse_request(unfinished, {}).audio == unfinished


@pytest.mark.parametrize(
    ("value", "says"),
    [
        *(("true", True), ("1", True), ("yes", True), (" TRUE ", True), ("Yes", True)),
        *(("false", False), ("0", False), ("no", False), ("False", False), (" NO ", False)),
    ],
)
def test_a_switch_says_yes_or_no(value: str, says: bool) -> None:
    assert parse_switch(value, not says) is says


@pytest.mark.parametrize("value", [None, "", " ", "maybe", "on", "2", "truefalse"])
def test_a_switch_that_says_nothing_leaves_the_default(value: str | None) -> None:
    assert parse_switch(value, True) is True
    assert parse_switch(value, False) is False


def test_the_answer_is_compact_with_the_score_first() -> None:
    scores = np.array([0.25, 0.5, 0.25], np.float32)
    assert encode_scores(("a", "b", "c"), scores, 2) == b'[{"score":0.5,"label":"b"},{"score":0.25,"label":"a"}]'
    assert encode_scores(("a", "b", "c"), scores, 0) == b"[]"
    assert msgspec.json.decode(encode_scores(("a", "b", "c"), scores, None)) == [
        {"score": 0.5, "label": "b"},
        {"score": 0.25, "label": "a"},
        {"score": 0.25, "label": "c"},
    ]


def test_an_error_and_a_status_leave_out_absent_fields() -> None:
    assert msgspec.json.encode(ErrorBody("wrong")) == b'{"error":"wrong"}'
    assert msgspec.json.encode(ErrorBody("loading", 2.5)) == b'{"error":"loading","estimated_time":2.5}'
    status = Status(True, "Loaded", "cpu", "transformers")
    assert msgspec.json.encode(status) == (
        b'{"loaded":true,"state":"Loaded","compute_type":"cpu","framework":"transformers"}'
    )


def test_the_text_fields_of_a_form_are_parameters_and_override_the_query() -> None:
    part = b'--x\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n'
    sent = (part % (b"file", b'; filename="a.wav"', b"RIFF"), part % (b"top_k", b"", b"3"), b"--x--\r\n")
    found = parse_request(b"".join(sent), {"top_k": "5", "function_to_apply": "none"})
    assert (found.audio, found.parameters) == (b"RIFF", Parameters(3, "none"))
    wrong = b"".join((sent[0], part % (b"top_k", b"", b"many"), sent[2]))
    with pytest.raises(RequestError, match="top_k"):
        parse_request(wrong, {})
