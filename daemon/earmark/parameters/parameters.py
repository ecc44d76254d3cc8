"""The parameters of a request to classify a clip: the choices of a client beside the sound."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from earmark.config.settings import Function
from earmark.errors import RequestError

FUNCTIONS: tuple[Function, ...] = ("softmax", "sigmoid", "none")
MAX_QUOTED = 100  # characters of a client's text that an error repeats
MAX_LABELS_BYTES = 400_000  # of JSON: as many labels as there may be, each character as escapes
NO_OBJECT = "`parameters` must be an object with `top_k` and `function_to_apply`"
_WHOLE = re.compile(r"([0-9]+)(\.0*)?")
_STRING = re.compile(rb'"[^"\\]*"')
_AT = re.compile(r" - at `\$\.([a-z_]+)")
_TEXTS = {
    "candidate_labels": "it must be a list of texts, or one text with commas between them",
    "hypothesis_template": "it must be a text",
}


class Parameters(msgspec.Struct, frozen=True):
    """The choices of a client. `top_k` is the number of labels in the answer; absent or null means all of them.

    `function_to_apply` turns the model's outputs into scores; absent or null means the checkpoint's own function.
    A model that takes its labels at run time takes them from `candidate_labels`, a list or texts between commas, and
    reads each in the `hypothesis_template`, in the place of {}.
    """

    top_k: Annotated[int, Meta(ge=0)] | None = None
    function_to_apply: Function | None = None
    candidate_labels: tuple[str, ...] | str | None = None
    hypothesis_template: str | None = None


class _Seen(msgspec.Struct, frozen=True):
    """Parameters of which some are only looked at, whatever they are."""

    function_to_apply: msgspec.Raw = msgspec.Raw(b"")
    candidate_labels: msgspec.Raw = msgspec.Raw(b"")
    hypothesis_template: msgspec.Raw = msgspec.Raw(b"")


class _Floating(msgspec.Struct, frozen=True):
    """Parameters whose `top_k` was written with a point."""

    top_k: Annotated[float, Meta(ge=0, le=1e18)]
    function_to_apply: Function | None = None
    candidate_labels: tuple[str, ...] | str | None = None
    hypothesis_template: str | None = None


def parameters_in(raw: msgspec.Raw) -> Parameters:
    """Return the parameters in JSON, which may be empty. Raises RequestError 400, which names the wrong one."""
    if not memoryview(raw):
        return Parameters()
    try:
        seen = msgspec.json.decode(raw, type=_Seen | None) or _Seen()
        for name in _TEXTS:  # before objects are made of them, for a body may have millions
            if memoryview(getattr(seen, name)).nbytes > MAX_LABELS_BYTES:
                raise RequestError(400, f"Invalid value for `{name}`: it is longer than {MAX_LABELS_BYTES} bytes")
        return msgspec.json.decode(raw, type=Parameters | None) or Parameters()
    except msgspec.ValidationError as error:
        whole = _with_whole_float(raw) if str(error).endswith("`$.top_k`") else None
        if whole is None:
            raise _refused(str(error), raw) from None
        return whole
    except UnicodeDecodeError:  # msgspec's message would have repeated the function
        raise _wrong_function(_function(raw)) from None
    except (msgspec.DecodeError, RecursionError):
        raise RequestError(400, NO_OBJECT) from None


def gathered(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return the parameters of a query or a form. Labels that come one by one add up; of all else the last counts."""
    labels = [value for name, value in pairs if name == "candidate_labels"]
    return dict(pairs) | ({"candidate_labels": ",".join(labels)} if labels else {})


def with_query(chosen: Parameters, query: Mapping[str, str]) -> Parameters:
    """Return `chosen`, with each parameter that it leaves open taken from the query. Raises RequestError 400."""
    taken: dict[str, object] = {}
    if chosen.top_k is None and "top_k" in query:
        number = _WHOLE.fullmatch(query["top_k"].strip())
        if number is None:
            raise _wrong_top_k()
        taken["top_k"] = int(number[1][:18])  # a longer number is as good as all
    if chosen.function_to_apply is None and "function_to_apply" in query:
        if query["function_to_apply"] not in FUNCTIONS:
            raise _wrong_function(query["function_to_apply"])
        taken["function_to_apply"] = query["function_to_apply"]
    taken |= {name: query[name] for name in _TEXTS if getattr(chosen, name) is None and name in query}
    return msgspec.structs.replace(chosen, **taken)


def _with_whole_float(raw: msgspec.Raw) -> Parameters | None:
    """Return the parameters if their `top_k` is a number such as 3.0: some languages have no other numbers."""
    try:
        found = msgspec.json.decode(raw, type=_Floating)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    if not found.top_k.is_integer():
        return None
    return Parameters(int(found.top_k), found.function_to_apply, found.candidate_labels, found.hypothesis_template)


def _refused(message: str, raw: msgspec.Raw) -> RequestError:
    """Return the refusal for a message of msgspec, by the field that it names."""
    found = _AT.search(message)
    match found and found[1]:
        case "top_k":
            return _wrong_top_k()
        case "function_to_apply":
            return _wrong_function(_function(raw))
        case str(name) if name in _TEXTS:
            return RequestError(400, f"Invalid value for `{name}`: {_TEXTS[name]}")
        case _:
            return RequestError(400, NO_OBJECT)


def _function(raw: msgspec.Raw) -> str:
    """Return the value of `function_to_apply`: a string without its quotes, all else as it stands, perhaps no UTF-8."""
    found = bytes(msgspec.json.decode(raw, type=_Seen).function_to_apply)
    return (found[1:-1] if _STRING.fullmatch(found) else found).decode(errors="replace")


def _wrong_top_k() -> RequestError:
    return RequestError(400, "Invalid value for `top_k`: it must be a whole number, 0 or more")


def _wrong_function(value: str) -> RequestError:
    return RequestError(
        400, f"Invalid value for `function_to_apply`: {value[:MAX_QUOTED]}. Valid options are {list(FUNCTIONS)}"
    )
