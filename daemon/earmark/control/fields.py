"""Which fields a PATCH takes, and what to say of the others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from earmark.config.settings import Classifier
from earmark.errors import RequestError
from earmark.hints import did_you_mean

TABLES = ("decide", "vad")
LISTS = ("labels", "background")
CLASSIFIER_FIELDS = (*TABLES, *LISTS, "template")
SOURCE_FIELDS = ("paused",)
MAX_QUOTED = 100  # characters of a field or name that a refusal repeats

_CONFIGURED = {field.name for field in msgspec.structs.fields(Classifier)} - set(CLASSIFIER_FIELDS)


def check_classifier(changes: Mapping[str, object]) -> None:
    """Raise RequestError 400 if a field is none that a PATCH takes, or is not of its kind."""
    for name, value in changes.items():
        if name in _CONFIGURED:
            raise RequestError(400, f"{name}: a PATCH cannot change it; write it in the configuration, and reload")
        if name not in CLASSIFIER_FIELDS:
            raise RequestError(400, f"{name[:MAX_QUOTED]}: no such field; {_nearest(name, CLASSIFIER_FIELDS)}")
        if name in TABLES and not isinstance(value, Mapping):
            raise RequestError(400, f"{name}: it must be an object")
        if name in LISTS and not (isinstance(value, list) and all(isinstance(each, str) for each in value)):
            raise RequestError(400, f"{name}: it must be a list of texts")
        if name == "template" and not isinstance(value, str):
            raise RequestError(400, f"{name}: it must be a text")


def check_source(changes: Mapping[str, object]) -> None:
    """Raise RequestError 400 if a field is not `paused`, or is not true or false."""
    for name, value in changes.items():
        if name not in SOURCE_FIELDS:
            hint = did_you_mean(name, SOURCE_FIELDS) or "only paused; write all else in the configuration, and reload"
            raise RequestError(400, f"{name[:MAX_QUOTED]}: a PATCH cannot change it; {hint}")
        if not isinstance(value, bool):
            raise RequestError(400, f"{name}: it must be true or false")


def unknown(kind: str, name: str, known: Iterable[str]) -> RequestError:
    """Return the refusal of a name that there is not."""
    names = list(known)
    return RequestError(404, f"there is no {kind} {name[:MAX_QUOTED]!r}; {_nearest(name, names)}")


def _nearest(name: str, known: Iterable[str]) -> str:
    names = list(known)
    return did_you_mean(name, names) or (f"there are {', '.join(names)}" if names else "there are none")
