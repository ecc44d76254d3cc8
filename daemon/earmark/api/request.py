"""A request to classify one clip: what its body, query and headers say, and the answer to it.

The shapes are those of the Hugging Face Inference API's audio classification task.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from earmark.api.multipart import first_file
from earmark.audio.types import Floats
from earmark.errors import RequestError
from earmark.inference.scores import Function, ranked

MALFORMED = "Malformed soundfile"
FUNCTIONS: tuple[Function, ...] = ("softmax", "sigmoid", "none")
SHOWN = 100  # characters of what a client sent that an error repeats
_TRUE, _FALSE = ("true", "1", "yes"), ("false", "0", "no")
_OBJECT = re.compile(rb"[ \t\r\n]*\{")
_STRING = re.compile(rb'"[^"\\]*"')


class Parameters(msgspec.Struct, frozen=True):
    """What a client may choose. `top_k` is how many labels to answer with: absent or null means all of them.

    `function_to_apply` makes scores of the model's outputs; absent or null means what the checkpoint was trained with.
    """

    top_k: Annotated[int, Meta(ge=0)] | None = None
    function_to_apply: Function | None = None


class Options(msgspec.Struct, frozen=True):
    """The old way to say what the headers x-use-cache and x-wait-for-model say."""

    use_cache: bool = True
    wait_for_model: bool = False


class ClipRequest(msgspec.Struct, frozen=True):
    """A clip as JSON. `inputs` is the audio file in base64."""

    inputs: str
    parameters: Parameters | None = None
    options: Options | None = None


class ErrorBody(msgspec.Struct, frozen=True, omit_defaults=True):
    """What went wrong, as a sentence; `estimated_time` in seconds where a model is loading."""

    error: str
    estimated_time: float | None = None


class Status(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whether a model is loaded, as huggingface_hub up to 0.29 reads it: with an `error` it raises that."""

    loaded: bool
    state: Literal["Loaded", "Loading", "Loadable", "Error"]
    compute_type: str
    framework: str
    error: str | None = None


class _Envelope(msgspec.Struct, frozen=True):
    """A ClipRequest whose parts are looked at one by one. Of what is unknown nothing is built."""

    inputs: msgspec.Raw = msgspec.Raw(b"")
    parameters: msgspec.Raw = msgspec.Raw(b"")
    options: msgspec.Raw = msgspec.Raw(b"")


class _Named(msgspec.Struct, frozen=True):
    """Parameters of which only the function is looked at, whatever it is."""

    function_to_apply: msgspec.Raw = msgspec.Raw(b"")


@dataclass(frozen=True, slots=True)
class ParsedRequest:
    """A request without its model: the audio file's bytes and what to do with it."""

    audio: bytes
    parameters: Parameters
    options: Options


_envelopes = msgspec.json.Decoder(_Envelope)


def parse_request(body: bytes, query: Mapping[str, str]) -> ParsedRequest:
    """The request in `body`: JSON if it begins with `{` and parses, a form's first file, or audio.

    Parameters of the body go before those of the query. Raises RequestError 400.
    """
    if first_file_of := first_file(body):
        body = first_file_of
    envelope = _envelope(body)
    if envelope is None:
        return ParsedRequest(body, _from_query(query, Parameters()), Options())
    parameters = _from_query(query, _parameters(bytes(envelope.parameters)))
    return ParsedRequest(_inputs(bytes(envelope.inputs)), parameters, _options(bytes(envelope.options)))


def parse_switch(value: str | None, default: bool) -> bool:
    """A header that says yes or no."""
    word = (value or "").strip().lower()
    return True if word in _TRUE else False if word in _FALSE else default


def answer(labels: Sequence[str], scores: Floats, top_k: int | None) -> bytes:
    """The answer's JSON: labels by falling score, each with its score before it."""
    return msgspec.json.encode(ranked(labels, scores, top_k))


def _envelope(body: bytes) -> _Envelope | None:
    if not _OBJECT.match(body):
        return None
    try:
        return _envelopes.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None  # audio, then, and no decoder will know it


def _inputs(raw: bytes) -> bytes:
    if not raw.startswith(b'"'):
        raise RequestError(400, "`inputs` is missing or no string: it must hold the audio file in base64")
    try:
        if b"\\" in raw:  # some encoders write every / as \/
            raw = b'"' + msgspec.json.decode(raw, type=str).encode() + b'"'
        return binascii.a2b_base64(memoryview(raw)[1:-1], strict_mode=True)
    except binascii.Error as error:
        padding = "padding" in str(error).lower() or "number of data characters" in str(error)
        raise RequestError(400, "Incorrect padding" if padding else "Only base64 data is allowed") from None
    except UnicodeDecodeError:
        raise RequestError(400, "Only base64 data is allowed") from None


def _parameters(raw: bytes) -> Parameters:
    if not raw:
        return Parameters()
    try:
        return msgspec.json.decode(raw, type=Parameters | None) or Parameters()
    except msgspec.ValidationError as error:
        raise _refused(str(error), raw) from None
    except UnicodeDecodeError:  # msgspec's message would have repeated the function
        raise _wrong_function(_function(raw)) from None
    except (msgspec.DecodeError, RecursionError):
        raise RequestError(400, "`parameters` must be an object with `top_k` and `function_to_apply`") from None


def _refused(message: str, raw: bytes) -> RequestError:
    """msgspec's message as a sentence of ours, by the field that it names."""
    if message.endswith("`$.top_k`"):
        return _wrong_top_k()
    if message.endswith("`$.function_to_apply`"):
        return _wrong_function(_function(raw))
    return RequestError(400, "`parameters` must be an object with `top_k` and `function_to_apply`")


def _function(raw: bytes) -> str:
    """What `function_to_apply` is: a string without its quotes, all else as it stands. It may be no UTF-8."""
    found = bytes(msgspec.json.decode(raw, type=_Named).function_to_apply)
    return (found[1:-1] if _STRING.fullmatch(found) else found).decode(errors="replace")


def _wrong_top_k() -> RequestError:
    return RequestError(400, "Invalid value for `top_k`: it must be a whole number, 0 or more")


def _wrong_function(value: str) -> RequestError:
    return RequestError(
        400, f"Invalid value for `function_to_apply`: {value[:SHOWN]}. Valid options are {list(FUNCTIONS)}"
    )


def _from_query(query: Mapping[str, str], chosen: Parameters) -> Parameters:
    """`chosen`, and what it leaves open from the query."""
    top_k, function = chosen.top_k, chosen.function_to_apply
    if top_k is None and "top_k" in query:
        digits = query["top_k"].strip()
        if not (digits.isascii() and digits.isdigit()):
            raise _wrong_top_k()
        top_k = int(digits[:18])  # more than that is as good as all
    if function is None and "function_to_apply" in query:
        if query["function_to_apply"] not in FUNCTIONS:
            raise _wrong_function(query["function_to_apply"])
        function = query["function_to_apply"]
    return Parameters(top_k, function)


def _options(raw: bytes) -> Options:
    """Leniently: what is no object, or no boolean, says nothing."""
    try:
        found: Any = msgspec.json.decode(raw) if raw else None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        found = None
    known = found if isinstance(found, dict) else {}
    return Options(known.get("use_cache") is not False, known.get("wait_for_model") is True)
