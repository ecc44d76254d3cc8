"""A request to classify one clip: the contents of its body, query and headers, and the form of the answer.

The shapes are those of the Hugging Face Inference API's audio classification task.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from earmark.api.multipart import fields, first_file
from earmark.audio.types import Floats
from earmark.errors import RequestError
from earmark.inference.scores import ranked
from earmark.parameters.parameters import Parameters, parameters_in, with_query

MALFORMED = "Malformed soundfile"
MAX_OPTIONS_BYTES = 1024  # of JSON; objects of any kind are made of it
MAX_QUOTED = 100  # characters of a client's text that an error repeats
_TRUE, _FALSE = ("true", "1", "yes"), ("false", "0", "no")
_OBJECT = re.compile(rb"(\xef\xbb\xbf)?[ \t\r\n]*\{")  # some editors and languages put a byte order mark first
_BREAKS = re.compile(r"[\r\n]")
_ESCAPE = re.compile(rb"\\")
Buffer = bytes | memoryview


class Options(msgspec.Struct, frozen=True):
    """The older form of the headers x-use-cache and x-wait-for-model."""

    use_cache: bool = True
    wait_for_model: bool = False


class ClipRequest(msgspec.Struct, frozen=True):
    """A clip as JSON. `inputs` is the audio file in base64."""

    inputs: str
    parameters: Parameters | None = None
    options: Options | None = None


class ErrorBody(msgspec.Struct, frozen=True, omit_defaults=True):
    """A refusal: `error` is a sentence; `estimated_time` is in seconds if a model is loading; `reason` is on clips."""

    error: str
    estimated_time: float | None = None
    reason: str = ""


class Status(msgspec.Struct, frozen=True, omit_defaults=True):
    """The state of a model, in the form that huggingface_hub up to 0.29 reads. It raises `error` if that is present."""

    loaded: bool
    state: Literal["Loaded", "Loading", "Loadable", "Error"]
    compute_type: str
    framework: str
    error: str | None = None


class _Envelope(msgspec.Struct, frozen=True):
    """A ClipRequest whose parts are views of the body, to be looked at one by one. Unknown keys are skipped."""

    inputs: msgspec.Raw = msgspec.Raw(b"")
    parameters: msgspec.Raw = msgspec.Raw(b"")
    options: msgspec.Raw = msgspec.Raw(b"")


@dataclass(frozen=True, slots=True)
class ParsedRequest:
    """A request without its model: the audio file's bytes and what to do with it."""

    audio: bytes
    parameters: Parameters
    options: Options


_envelopes = msgspec.json.Decoder(_Envelope)


def parse_request(
    body: bytes, query: Mapping[str, str], count: Callable[[int], None] = lambda count: None
) -> ParsedRequest:
    """Return the request in `body`: JSON if it begins with `{`, which no audio does, a form's first file, or audio.

    Parameters of the body override those of the query; the text fields of a form are such parameters. `count` is called
    before bytes are made besides the body, with their number; it may raise. Raises RequestError 400.
    """
    content: Buffer = first_file(body) or body
    if isinstance(content, memoryview):
        query = {**query, **fields(body)}
    envelope = _envelope(content)
    if envelope is None:
        parameters = with_query(Parameters(), query)
        if isinstance(content, memoryview):
            count(len(content))
        return ParsedRequest(bytes(content), parameters, Options())  # bytes() of bytes copies nothing
    parameters = with_query(parameters_in(envelope.parameters), query)
    return ParsedRequest(_inputs(memoryview(envelope.inputs), count), parameters, _options(envelope.options))


def parse_switch(value: str | None, default: bool) -> bool:
    """Return what a header says that means yes or no, or `default`."""
    word = (value or "").strip().lower()
    return True if word in _TRUE else False if word in _FALSE else default


def encode_scores(labels: Sequence[str], scores: Floats, top_k: int | None) -> bytes:
    """Return the JSON of an answer: labels by falling score, each with its score before it."""
    return msgspec.json.encode(ranked(labels, scores, top_k))


def _envelope(content: Buffer) -> _Envelope | None:
    found = _OBJECT.match(content)
    if found is None:
        return None
    try:
        return _envelopes.decode(memoryview(content)[found.end(1) :] if found[1] else content)
    except msgspec.MsgspecError as error:
        reason = str(error).removeprefix("JSON is malformed: ")
    except (UnicodeDecodeError, RecursionError) as error:
        reason = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else "it is nested too deeply"
    raise RequestError(400, f"the body begins with {{ and is not JSON: {reason[:MAX_QUOTED]}")


def _inputs(raw: memoryview, count: Callable[[int], None]) -> bytes:
    """Return the audio file in `raw`, the JSON of `inputs`."""
    if bytes(raw[:1]) != b'"':
        raise RequestError(400, "`inputs` is missing or no string: it must hold the audio file in base64")
    text: str | memoryview = raw[1:-1]
    try:
        if _ESCAPE.search(raw):  # some encoders write every / as \/
            count(2 * len(raw))  # the text, and what the decoder makes it in
            text = msgspec.json.decode(raw, type=str)
            if isinstance(text, str) and _BREAKS.search(text):  # in lines, as MIME and `base64` without -w0 write it
                text = _BREAKS.sub("", text)
        count(len(text) * 3 // 4)
        return binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error as error:
        padding = "padding" in str(error).lower() or "number of data characters" in str(error)
        raise RequestError(400, "Incorrect padding" if padding else "Only base64 data is allowed") from None
    except ValueError:  # not UTF-8, or not ASCII
        raise RequestError(400, "Only base64 data is allowed") from None


def _options(raw: msgspec.Raw) -> Options:
    """Return the options in `raw`. A value that is no boolean, or no object at all, counts as absent."""
    try:
        found: Any = msgspec.json.decode(raw) if 0 < memoryview(raw).nbytes <= MAX_OPTIONS_BYTES else None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        found = None
    known = found if isinstance(found, dict) else {}
    return Options(known.get("use_cache") is not False, known.get("wait_for_model") is True)
