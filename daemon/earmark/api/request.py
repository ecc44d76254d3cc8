"""A request to classify one clip: the contents of its body, query and headers, and the form of the answer.

The shapes are those of the Hugging Face Inference API's audio classification task.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from earmark.api.multipart import fields, first_file
from earmark.audio.types import Floats
from earmark.config.settings import Function
from earmark.errors import RequestError
from earmark.inference.scores import ranked

MALFORMED = "Malformed soundfile"
FUNCTIONS: tuple[Function, ...] = ("softmax", "sigmoid", "none")
MAX_OPTIONS_BYTES = 1024  # of JSON; objects of any kind are made of it
MAX_QUOTED = 100  # characters of a client's text that an error repeats
_TRUE, _FALSE = ("true", "1", "yes"), ("false", "0", "no")
_OBJECT = re.compile(rb"(\xef\xbb\xbf)?[ \t\r\n]*\{")  # some editors and languages put a byte order mark first
_BREAKS = re.compile(r"[\r\n]")
_WHOLE = re.compile(r"([0-9]+)(\.0*)?")
_STRING = re.compile(rb'"[^"\\]*"')
_ESCAPE = re.compile(rb"\\")
Buffer = bytes | memoryview


class Parameters(msgspec.Struct, frozen=True):
    """The choices of a client. `top_k` is the number of labels in the answer; absent or null means all of them.

    `function_to_apply` turns the model's outputs into scores; absent or null means the checkpoint's own function.
    """

    top_k: Annotated[int, Meta(ge=0)] | None = None
    function_to_apply: Function | None = None


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


class _Named(msgspec.Struct, frozen=True):
    """Parameters of which only the function is looked at, whatever it is."""

    function_to_apply: msgspec.Raw = msgspec.Raw(b"")


class _Floating(msgspec.Struct, frozen=True):
    """Parameters whose `top_k` was written with a point."""

    top_k: Annotated[float, Meta(ge=0, le=1e18)]
    function_to_apply: Function | None = None


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
        parameters = _from_query(query, Parameters())
        if isinstance(content, memoryview):
            count(len(content))
        return ParsedRequest(bytes(content), parameters, Options())  # bytes() of bytes copies nothing
    parameters = _from_query(query, _parameters(envelope.parameters))
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


def _parameters(raw: msgspec.Raw) -> Parameters:
    if not memoryview(raw):
        return Parameters()
    try:
        return msgspec.json.decode(raw, type=Parameters | None) or Parameters()
    except msgspec.ValidationError as error:
        whole = _with_whole_float(raw) if str(error).endswith("`$.top_k`") else None
        if whole is None:
            raise _refused(str(error), raw) from None
        return whole
    except UnicodeDecodeError:  # msgspec's message would have repeated the function
        raise _wrong_function(_function(raw)) from None
    except (msgspec.DecodeError, RecursionError):
        raise RequestError(400, "`parameters` must be an object with `top_k` and `function_to_apply`") from None


def _with_whole_float(raw: msgspec.Raw) -> Parameters | None:
    """Return the parameters if their `top_k` is a number such as 3.0: some languages have no other numbers."""
    try:
        found = msgspec.json.decode(raw, type=_Floating)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return Parameters(int(found.top_k), found.function_to_apply) if found.top_k.is_integer() else None


def _refused(message: str, raw: msgspec.Raw) -> RequestError:
    """Return the refusal for a message of msgspec, by the field that it names."""
    if message.endswith("`$.top_k`"):
        return _wrong_top_k()
    if message.endswith("`$.function_to_apply`"):
        return _wrong_function(_function(raw))
    return RequestError(400, "`parameters` must be an object with `top_k` and `function_to_apply`")


def _function(raw: msgspec.Raw) -> str:
    """Return the value of `function_to_apply`: a string without its quotes, all else as it stands, perhaps no UTF-8."""
    found = bytes(msgspec.json.decode(raw, type=_Named).function_to_apply)
    return (found[1:-1] if _STRING.fullmatch(found) else found).decode(errors="replace")


def _wrong_top_k() -> RequestError:
    return RequestError(400, "Invalid value for `top_k`: it must be a whole number, 0 or more")


def _wrong_function(value: str) -> RequestError:
    return RequestError(
        400, f"Invalid value for `function_to_apply`: {value[:MAX_QUOTED]}. Valid options are {list(FUNCTIONS)}"
    )


def _from_query(query: Mapping[str, str], chosen: Parameters) -> Parameters:
    """Return `chosen`, with each parameter that it leaves open taken from the query."""
    top_k, function = chosen.top_k, chosen.function_to_apply
    if top_k is None and "top_k" in query:
        number = _WHOLE.fullmatch(query["top_k"].strip())
        if number is None:
            raise _wrong_top_k()
        top_k = int(number[1][:18])  # a longer number is as good as all
    if function is None and "function_to_apply" in query:
        if query["function_to_apply"] not in FUNCTIONS:
            raise _wrong_function(query["function_to_apply"])
        function = query["function_to_apply"]
    return Parameters(top_k, function)


def _options(raw: msgspec.Raw) -> Options:
    """Return the options in `raw`. A value that is no boolean, or no object at all, counts as absent."""
    try:
        found: Any = msgspec.json.decode(raw) if 0 < memoryview(raw).nbytes <= MAX_OPTIONS_BYTES else None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        found = None
    known = found if isinstance(found, dict) else {}
    return Options(known.get("use_cache") is not False, known.get("wait_for_model") is True)
