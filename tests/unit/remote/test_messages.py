from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from earmark.checkpoints.checkpoint import Checkpoint
from earmark.errors import ModelError, WorkerError

pytest.importorskip("google.protobuf", reason="the extra oip is not installed")

from earmark.remote import messages
from earmark.remote.messages import (
    MAX_TEXT_BYTES,
    MAX_TEXTS,
    Described,
    compare,
    described,
    infer_request,
    infer_response,
    logits_of,
    texts_of,
    texts_request,
)

BATCH = np.random.default_rng(0).normal(0, 1, (3, 50)).astype(np.float32)
LOGITS = np.array([[1.5, -2.25], [0, 3e-8], [7, 8]], np.float32)
MOODS = Checkpoint("house/moods", "", ("low", "high"), 8000, "wav2vec2", None, None, None, 400, revision="a" * 40)


def answered(logits: Any = LOGITS, told: Described | None = None) -> Any:
    return infer_response(infer_request("moods", BATCH), logits, told or Described())


def test_samples_and_logits_come_through_unchanged() -> None:
    request = infer_request("moods", list(BATCH))
    sent = type(request).FromString(request.SerializeToString())
    assert (sent.model_name, list(sent.inputs[0].shape), sent.inputs[0].datatype) == ("moods", [3, 50], "FP32")
    np.testing.assert_array_equal(messages.samples_of(sent), BATCH)
    np.testing.assert_array_equal(logits_of(answered(), 3), LOGITS)


def test_logits_in_a_list_and_of_another_name_are_taken_too() -> None:
    response = answered()
    del response.raw_output_contents[:]
    response.outputs[0].name = "scores"
    response.outputs[0].contents.fp32_contents.extend(LOGITS.ravel().tolist())
    np.testing.assert_array_equal(logits_of(response, 3), LOGITS)


def test_doubles_are_taken_too() -> None:
    response = answered()
    response.outputs[0].datatype = "FP64"
    response.raw_output_contents[0] = LOGITS.astype("<f8").tobytes()
    np.testing.assert_array_equal(logits_of(response, 3), LOGITS)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda r: r.outputs.pop(), "the response has no output"),
        (lambda r: r.outputs[0].shape.append(1), r"has the shape \[3, 2, 1\]"),
        (lambda r: r.outputs[0].shape.__setitem__(0, -3), r"has the shape \[-3, 2\]"),
        (lambda r: r.outputs[0].shape.__setitem__(1, 1 << 40), "has the shape"),
        (lambda r: r.outputs[0].shape.__setitem__(1, 4), r"24 bytes, which do not fit its shape \[3, 4\]"),
        (lambda r: setattr(r.outputs[0], "datatype", "BYTES"), "holds BYTES, not FP32"),
        (lambda r: r.raw_output_contents.pop(), "has 0 values"),
    ],
)
def test_a_response_that_cannot_be_right_is_refused(change: Any, reason: str) -> None:
    response = answered()
    change(response)
    with pytest.raises(WorkerError, match=reason):
        logits_of(response, 3)


def test_as_many_rows_as_windows_must_come() -> None:
    with pytest.raises(WorkerError, match="4 windows were answered with 3 rows"):
        logits_of(answered(), 4)


def test_a_response_says_what_its_server_knows_of_the_model() -> None:
    told = Described(("tief", "höher"), 16000, "b" * 40)
    assert described(answered(told=told)) == told
    assert described(answered()) == Described()


@pytest.mark.parametrize("text", ["[", "7", "null"])
def test_labels_that_are_no_list_are_refused(text: str) -> None:
    response = answered()
    response.parameters["labels"].string_param = text
    with pytest.raises(WorkerError, match="the labels in the response are no list of names"):
        described(response)


@pytest.mark.parametrize(
    ("found", "columns", "reason"),
    [
        (Described(), 3, "it answers with 3 scores, and house/moods has 2 labels"),
        (Described(("low", "hi")), 2, "its label 1 is 'hi', and that of house/moods is 'high'"),
        (Described(("low",)), 2, "it names 1 labels, and house/moods has 2"),
        (Described(rate=16000), 2, "it takes 16000 Hz, and house/moods takes 8000 Hz"),
        (Described(revision="b" * 40), 2, "it has revision b"),
    ],
)
def test_what_differs_is_named(found: Described, columns: int, reason: str) -> None:
    with pytest.raises(ModelError, match=reason):
        compare(MOODS, found, columns)


def test_the_same_model_passes_and_so_does_one_of_which_nothing_is_said() -> None:
    compare(MOODS, Described(MOODS.labels, MOODS.rate, MOODS.revision), 2)
    compare(MOODS, Described(), 2)


def test_labels_that_the_settings_name_otherwise_are_those_of_the_model_or_its_new_ones_at_the_endpoint() -> None:
    named = MOODS.named(("calm", "angry"), None, "model[0]")
    compare(named, Described(MOODS.labels), 2)
    compare(named, Described(("calm", "angry")), 2)
    with pytest.raises(ModelError, match="its label 0 is 'angry', and that of house/moods is 'low'"):
        compare(named, Described(("angry", "calm")), 2)


def test_texts_come_through_unchanged_and_a_batch_has_none() -> None:
    request = texts_request("clap", ["Säge", "", "a dog"])
    sent = type(request).FromString(request.SerializeToString())
    assert (sent.model_name, list(sent.inputs[0].shape), sent.inputs[0].datatype) == ("clap", [3], "BYTES")
    assert texts_of(sent) == ["Säge", "", "a dog"]
    del sent.raw_input_contents[:]
    sent.inputs[0].contents.bytes_contents.extend([b"rain"])
    assert texts_of(sent) == ["rain"]
    assert texts_of(infer_request("moods", BATCH)) is None


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "must hold 1 to 256 texts of 4096 bytes at most"),
        (bytes(4) * (MAX_TEXTS + 1), "must hold 1 to 256 texts"),
        ((MAX_TEXT_BYTES + 1).to_bytes(4, "little") + bytes(MAX_TEXT_BYTES + 1), "must hold 1 to 256 texts"),
        (b"\x05\0\0\0rain", "breaks off"),
        (b"\xff\xff\xff\xffrain", "breaks off"),
        (b"\x01\0", "breaks off"),
        (b"\x01\0\0\0\xff", "holds what is no UTF-8"),
    ],
)
def test_texts_that_cannot_be_right_are_refused(raw: bytes, reason: str) -> None:
    request = texts_request("clap", ["a"])
    request.raw_input_contents[0] = raw
    with pytest.raises(WorkerError, match=reason):
        texts_of(request)


def test_a_model_that_takes_labels_may_answer_any_number_of_values() -> None:
    clap = replace(MOODS, labels=(), model_type="clap")
    compare(clap, Described((), 8000), 512)
    with pytest.raises(ModelError, match="it names 2 labels, and house/moods has 0"):
        compare(clap, Described(("low", "high")), 2)
