"""A batch as a request of the Open Inference Protocol, and the logits in its response.

The input is `samples`, FP32 of shape (windows, length); the output is `logits`, FP32 of shape (windows, labels).
A model that takes its labels at run time also takes `texts`, BYTES of shape (texts), and answers vectors as `logits`.
Contents are raw, because lists of numbers take several times as long. What a server of Earmark knows of a model comes
with each response, as parameters; other servers send none.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from earmark.audio.types import Floats, Samples
from earmark.checkpoints.checkpoint import Checkpoint
from earmark.errors import ModelError, WorkerError
from earmark.remote import open_inference

INPUT, TEXTS, OUTPUT = "samples", "texts", "logits"
MAX_TEXTS, MAX_TEXT_BYTES = 256, 4096
LABELS, RATE, REVISION = "labels", "sampling_rate", "revision"  # parameters of a response


@dataclass(frozen=True, slots=True)
class Described:
    """What a response says of the model behind it: None, or an empty revision, where it says nothing."""

    labels: tuple[str, ...] | None = None
    rate: int | None = None
    revision: str = ""


def infer_request(model: str, batch: Sequence[Samples] | Floats) -> Any:
    """Return the request for a batch of windows of equal length."""
    samples = np.ascontiguousarray(batch, dtype="<f4")
    request = open_inference.ModelInferRequest(model_name=model)
    request.inputs.add(name=INPUT, datatype="FP32", shape=samples.shape)
    request.outputs.add(name=OUTPUT)
    request.raw_input_contents.append(samples.tobytes())
    return request


def texts_request(model: str, texts: Sequence[str]) -> Any:
    """Return the request for the vectors of texts."""
    request = open_inference.ModelInferRequest(model_name=model)
    request.inputs.add(name=TEXTS, datatype="BYTES", shape=[len(texts)])
    request.outputs.add(name=OUTPUT)
    encoded = [text.encode() for text in texts]
    request.raw_input_contents.append(b"".join(len(each).to_bytes(4, "little") + each for each in encoded))
    return request


def texts_of(request: Any) -> list[str] | None:
    """Return the texts of a request, or None if it has none. Raises WorkerError if they are not what they should be."""
    names = [each.name for each in request.inputs]
    if TEXTS not in names:
        return None
    place = names.index(TEXTS)
    if place < len(request.raw_input_contents):
        found = _split(request.raw_input_contents[place])
    else:
        found = list(request.inputs[place].contents.bytes_contents)
    if not 0 < len(found) <= MAX_TEXTS or max(map(len, found)) > MAX_TEXT_BYTES:
        raise WorkerError(f"{TEXTS!r} must hold 1 to {MAX_TEXTS} texts of {MAX_TEXT_BYTES} bytes at most")
    try:
        return [each.decode() for each in found]
    except UnicodeDecodeError:
        raise WorkerError(f"{TEXTS!r} holds what is no UTF-8") from None


def _split(raw: bytes) -> list[bytes]:
    """Return the texts in raw contents, each of which stands behind its length."""
    found: list[bytes] = []
    place = 0
    while place < len(raw) and len(found) <= MAX_TEXTS:
        end = place + 4 + int.from_bytes(raw[place : place + 4], "little")
        if end > len(raw):
            raise WorkerError(f"{TEXTS!r} breaks off")
        found.append(raw[place + 4 : end])
        place = end
    return found


def samples_of(request: Any, max_values: int = 1 << 28) -> Floats:
    """Return the samples of a request, read-only, of shape (windows, length). Raises WorkerError."""
    tensor = next((each for each in request.inputs if each.name == INPUT), None)
    if tensor is None:
        raise WorkerError(f'the request has no input "{INPUT}"')
    return _values(tensor, request.raw_input_contents, list(request.inputs).index(tensor), max_values)


def infer_response(request: Any, logits: Floats, described: Described) -> Any:
    """Return the response to a request, with what is known of its model."""
    response = open_inference.ModelInferResponse(model_name=request.model_name, id=request.id)
    response.outputs.add(name=OUTPUT, datatype="FP32", shape=logits.shape)
    response.raw_output_contents.append(np.ascontiguousarray(logits, dtype="<f4").tobytes())
    if described.labels is not None:
        response.parameters[LABELS].string_param = json.dumps(described.labels, ensure_ascii=False)
    if described.rate is not None:
        response.parameters[RATE].int64_param = described.rate
    if described.revision:
        response.parameters[REVISION].string_param = described.revision
    return response


def logits_of(response: Any, windows: int) -> Floats:
    """Return the logits in a response, of shape (windows, labels). Raises WorkerError if they are not there."""
    names = [each.name for each in response.outputs]
    if not names:
        raise WorkerError("the response has no output")
    place = names.index(OUTPUT) if OUTPUT in names else 0  # a server that was not made for us names it otherwise
    logits = _values(response.outputs[place], response.raw_output_contents, place, 1 << 26)
    if len(logits) != windows:
        raise WorkerError(f"{windows} windows were answered with {len(logits)} rows")
    return logits


def described(response: Any) -> Described:
    """Return what a response says of its model."""
    told = response.parameters
    labels = None
    if LABELS in told:
        try:
            labels = tuple(msgspec.json.decode(told[LABELS].string_param, type=list[str]))
        except msgspec.DecodeError:
            raise WorkerError("the labels in the response are no list of names") from None
    rate = told[RATE].int64_param if RATE in told else None
    return Described(labels, rate, told[REVISION].string_param if REVISION in told else "")


def compare(checkpoint: Checkpoint, found: Described, columns: int) -> None:
    """Raise ModelError, which says what differs, if the model behind an endpoint is not the one of `checkpoint`."""
    labels = checkpoint.own_labels or checkpoint.labels
    if checkpoint.takes_labels:  # it answers vectors, of as many numbers as it likes
        columns = len(labels)
    if columns != len(labels):
        raise ModelError(f"it answers with {columns} scores, and {checkpoint.name} has {len(labels)} labels")
    if found.labels is not None and len(found.labels) != len(labels):
        raise ModelError(f"it names {len(found.labels)} labels, and {checkpoint.name} has {len(labels)}")
    if found.labels is not None and found.labels not in (labels, checkpoint.labels):
        at = next(number for number, (a, b) in enumerate(zip(found.labels, labels, strict=True)) if a != b)
        raise ModelError(f"its label {at} is {found.labels[at]!r}, and that of {checkpoint.name} is {labels[at]!r}")
    if found.rate is not None and found.rate != checkpoint.rate:
        raise ModelError(f"it takes {found.rate} Hz, and {checkpoint.name} takes {checkpoint.rate} Hz")
    if found.revision and checkpoint.revision and found.revision != checkpoint.revision:
        raise ModelError(f"it has revision {found.revision}, and {checkpoint.name} is {checkpoint.revision} here")


def _values(tensor: Any, raw: Sequence[bytes], place: int, max_values: int) -> Floats:
    """Return a tensor of two dimensions as float32, from raw contents or from a list. Raises WorkerError."""
    shape = tuple(tensor.shape)
    if len(shape) != 2 or min(shape) < 1 or math.prod(shape) > max_values:
        raise WorkerError(f"{tensor.name!r} has the shape {list(shape)}, not (windows, values)")
    if tensor.datatype not in ("FP32", "FP64"):
        raise WorkerError(f"{tensor.name!r} holds {tensor.datatype}, not FP32")
    if place < len(raw):
        kind = "<f4" if tensor.datatype == "FP32" else "<f8"
        if len(raw[place]) != math.prod(shape) * np.dtype(kind).itemsize:
            raise WorkerError(f"{tensor.name!r} has {len(raw[place])} bytes, which do not fit its shape {list(shape)}")
        values: Floats = np.frombuffer(raw[place], kind).reshape(shape)
    else:
        listed = tensor.contents.fp32_contents if tensor.datatype == "FP32" else tensor.contents.fp64_contents
        if len(listed) != math.prod(shape):
            raise WorkerError(f"{tensor.name!r} has {len(listed)} values, which do not fit its shape {list(shape)}")
        values = np.array(listed, np.float32).reshape(shape)
    return values.astype(np.float32, copy=False)
