"""What a client asks over HTTP, and what it makes of the answers. Nothing here waits, connects or knows the time.

Each function is a generator: it yields a Call and is sent the Response, or yields seconds to wait and is sent None.
run() and run_async() of `earmark_client.run` do what it asks for.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from earmark.errors import ServerError
from earmark.protocol.endpoints import CLASSIFIERS, INFO, MODELS, READY, RELOAD, SOURCES
from earmark.protocol.events import Score
from earmark_client.answers import (
    Changed,
    ClassifierChanged,
    ClassifierStatus,
    Model,
    Readiness,
    SourceChanged,
    SourceStatus,
)
from earmark_client.request import TIMEOUT, Refused, Response

CLASSIFY_TIMEOUT = 600.0  # seconds for one response: an hour of sound on a slow machine takes minutes
CHANGE_TIMEOUT = 120.0  # seconds for one change; a reload may load models
BUSY = (429, 503)  # statuses after which the request is sent again
MIN_PAUSE, MAX_PAUSE = 1.0, 30.0  # seconds before it is sent again; the former if the daemon names none
MAX_QUERY = 4000  # characters; more parameters go into the body
MAX_WAIT = 300.0  # seconds of such pauses for one clip
LABELS = "candidate_labels"


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `body` is the bytes to send, or the file with them."""

    method: str
    path: str
    body: bytes | Path | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout: float = TIMEOUT


Content = TypeVar("Content")
Steps = Generator[Call | float, Response | None, Content]


def get(path: str, kind: type[Content]) -> Steps[Content]:
    """Ask for what a path has. Raises Refused, or ServerError for an answer of another kind."""
    return decoded((yield from ask(Call("GET", path))), kind, path)


def models() -> Steps[list[Model]]:
    """Ask for the models that the daemon can use."""
    return (yield from get(MODELS, list[Model]))


def info() -> Steps[dict[str, Any]]:
    """Ask what the daemon tells about itself."""
    return (yield from get(INFO, dict[str, Any]))


def ready() -> Steps[Readiness]:
    """Ask whether the daemon is ready, which it answers with another status if it is not."""
    response = yield Call("GET", READY)
    assert response is not None
    return decoded(response, Readiness, READY)


def sources() -> Steps[list[SourceStatus]]:
    """Ask for the sources and their settings."""
    return (yield from get(SOURCES, list[SourceStatus]))


def classifiers() -> Steps[list[ClassifierStatus]]:
    """Ask for the classifiers and the settings in force."""
    return (yield from get(CLASSIFIERS, list[ClassifierStatus]))


def patch_source(name: str, changes: Mapping[str, object]) -> Steps[SourceChanged]:
    """Ask to change a source."""
    return (yield from _change("PATCH", f"{SOURCES}/{quote(name, safe='')}", changes, SourceChanged))


def patch_classifier(name: str, changes: Mapping[str, object]) -> Steps[ClassifierChanged]:
    """Ask to change a classifier."""
    return (yield from _change("PATCH", f"{CLASSIFIERS}/{quote(name, safe='')}", changes, ClassifierChanged))


def reload() -> Steps[Changed]:
    """Ask to read the configuration again."""
    return (yield from _change("POST", RELOAD, {}, Changed))


def classify(
    clip: bytes | Path,
    *,
    model: str | None = None,
    top_k: int | None = None,
    function: str | None = None,
    labels: Sequence[str] | None = None,
    template: str | None = None,
) -> Steps[list[Score]]:
    """Ask for the labels of a clip. Waits while the model is loading or the daemon is busy.

    `labels` and `template` are for a model that takes its labels at run time.
    """
    wanted = {"top_k": top_k, "function_to_apply": function, LABELS: labels, "hypothesis_template": template}
    call = _classifying(clip, model, {name: value for name, value in wanted.items() if value is not None})
    waited = 0.0
    while True:
        response = yield call
        assert response is not None
        if response.status not in BUSY:
            return _scores(response)
        seconds = pause_wanted(response)
        waited += seconds
        if waited > MAX_WAIT:
            raise Refused(f"{response.error()}; waited {waited - seconds:.0f} s for it", response.status)
        yield seconds


def _classifying(clip: bytes | Path, model: str | None, wanted: Mapping[str, Any]) -> Call:
    """Return the request. Raises ServerError if it needs the content of a file that cannot be read."""
    path = f"/models/{quote(model)}" if model else "/"
    labels = wanted.get(LABELS, ())
    query = urlencode({**wanted, LABELS: ",".join(labels)} if labels else wanted)
    headers = {"Content-Type": "application/octet-stream", "x-wait-for-model": "true"}
    if len(query) <= MAX_QUERY and not any("," in label for label in labels):  # in a query, a comma ends a label
        return Call("POST", path + (f"?{query}" if query else ""), clip, headers, CLASSIFY_TIMEOUT)
    try:
        content = clip if isinstance(clip, bytes) else clip.read_bytes()
    except OSError as error:
        raise ServerError(f"cannot be read: {error.strerror}") from None
    body = msgspec.json.encode({"inputs": content, "parameters": wanted})  # bytes become base64
    return Call("POST", path, body, headers | {"Content-Type": "application/json"}, CLASSIFY_TIMEOUT)


def pause_wanted(response: Response) -> float:
    """Return the seconds that a busy daemon names in Retry-After or estimated_time, within limits."""
    wanted: object = response.headers.get("retry-after")
    if wanted is None:
        try:
            content = response.json()
        except msgspec.DecodeError:
            content = None
        wanted = content.get("estimated_time") if isinstance(content, dict) else None
    try:
        seconds = float(str(wanted))
    except ValueError:
        return MIN_PAUSE
    return min(max(seconds, MIN_PAUSE), MAX_PAUSE) if math.isfinite(seconds) else MIN_PAUSE


def ask(call: Call) -> Steps[Response]:
    """Make one call. Raises Refused with the daemon's sentence if the status is not 200."""
    response = yield call
    assert response is not None
    if response.status == 401:
        raise Refused(f"{response.error()}; give --token, or set EARMARK_TOKEN", response.status)
    if response.status != 200:
        raise Refused(response.error(), response.status)
    return response


def decoded(response: Response, kind: type[Content], path: str) -> Content:
    """Return the content of a response. Raises ServerError if it is not of this kind."""
    try:
        return msgspec.json.decode(response.body, type=kind)
    except msgspec.ValidationError as error:
        raise ServerError(f"the answer of {path} is not of the kind that this client knows: {error}") from None
    except msgspec.DecodeError:
        raise ServerError(f"the answer of {path} is not JSON: is it earmarkd?") from None


def _change(method: str, path: str, changes: Mapping[str, object], kind: type[Content]) -> Steps[Content]:
    body = msgspec.json.encode(dict(changes))
    headers = {"Content-Type": "application/json"}
    response = yield from ask(Call(method, path, body, headers, CHANGE_TIMEOUT))
    return decoded(response, kind, path)


def _scores(response: Response) -> list[Score]:
    if response.status == 401:
        raise Refused(f"{response.error()}; give --token, or set EARMARK_TOKEN", response.status)
    if response.status != 200:
        raise Refused(response.error(), response.status)
    try:
        return msgspec.json.decode(response.body, type=list[Score])
    except msgspec.DecodeError:  # a ValidationError is one
        raise ServerError("the answer is no list of labels and scores: is it earmarkd?") from None
