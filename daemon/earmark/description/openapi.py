"""The OpenAPI document made whole: the daemon's own routes, the refusals that every route shares, and examples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from earmark.description import examples
from earmark.description.asyncapi import plain, schemas_of
from earmark.protocol.endpoints import ASYNCAPI, AUDIO, DOCS, HEALTH, INFO, LIVE, METRICS, OPENAPI, PAGE, READY
from earmark.protocol.readiness import PURPOSES
from earmark.telemetry.snapshot import Snapshot

JSON = "application/json"
STRING = {"type": "string"}
ERROR = {JSON: {"schema": {"$ref": "#/components/schemas/ErrorBody"}}}
METHODS = ("get", "post", "patch", "put", "delete")
OPEN_TO_ALL = (HEALTH, LIVE, READY, DOCS, f"{PAGE}/{{digest}}/{{name}}")
"""Paths that need no token."""

COMMON = {
    "400": "A header is there twice, or the end of the body is in doubt",
    "401": "A token is needed, or this one is wrong",
    "403": "The Host or Origin is foreign",
    "500": "The daemon failed; its log says why",
    "503": "There are too many connections; see Retry-After",
}
"""Refusals before or outside of a route."""

HEADERS = {
    "401": {"WWW-Authenticate": {"schema": STRING, "description": "Bearer"}},
    "429": {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds"}},
    "503": {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds, where it is known"}},
}


class Health(msgspec.Struct, frozen=True):
    """The daemon lives."""

    status: Literal["ok"]


class Liveness(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whether all parts of the daemon make progress, and which do not."""

    live: bool
    error: str = ""


class Readiness(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whether the daemon does its work, in all and for each of its purposes, and what is missing for each and why."""

    ready: bool
    error: str = ""
    listening: bool | msgspec.UnsetType = msgspec.UNSET
    clips: bool | msgspec.UnsetType = msgspec.UNSET
    missing: dict[Literal["listening", "clips"], dict[str, str]] = {}


def completed(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document of the routes of the parts, with all that they have in common and the daemon's own."""
    (health, liveness, readiness, info), components = schemas_of([Health, Liveness, Readiness, Snapshot])
    own = document["components"]
    paths = {**document["paths"], **_own(health, liveness, readiness, info)}
    paths["/"] = {"get": _page("root", "The page, for browsers; for programs, where what is"), **paths["/"]}
    return {
        **document,
        "paths": {path: _item(path, item) for path, item in paths.items()},
        "components": {**own, "schemas": plain({**own["schemas"], **components})},
    }


def _own(health: object, liveness: object, readiness: object, info: object) -> dict[str, Any]:
    model = {"name": "model", "in": "path", "required": True, "schema": STRING, "description": "A model's id"}
    purpose = {"name": "for", "in": "query", "schema": {"enum": [*PURPOSES]}, "description": "Only this purpose"}
    ready = _get("ready", "Whether it listens and classifies", {JSON: {"schema": readiness}})
    not_ready = {"schema": readiness, "example": examples.NOT_READY}
    ready["responses"] |= {
        "400": {"description": "`for` is no purpose", "content": ERROR},
        "503": {"description": "It does not, and what is missing", "content": {JSON: not_ready}},
    }
    alive = {JSON: {"schema": liveness}}
    stuck = {"503": {"description": "A part makes none, and only a restart helps", "content": alive}}
    live = _get("live", "Whether all parts of the daemon make progress", alive, stuck)
    no_model = {"404": {"description": "There is no such model", "content": ERROR}}
    plain = {"text/plain": {"schema": STRING}, "application/openmetrics-text": {"schema": STRING}}
    document = {JSON: {"schema": {"type": "object"}}}
    file = _page("pageFile", "A file of the page", "text/css")
    names = [{"name": name, "in": "path", "required": True, "schema": STRING} for name in ("digest", "name")]
    audio = {"description": "This is a WebSocket; `/asyncapi.json` describes it", "content": ERROR}
    return {
        HEALTH: {"get": _get("health", "200 while the daemon serves", {JSON: {"schema": health}})},
        LIVE: {"get": live},
        READY: {"get": {**ready, "parameters": [purpose]}},
        INFO: {"get": _get("info", "Versions, sources, classifiers, counters", {JSON: {"schema": info}})},
        "/models/{model}/health": {
            "parameters": [model],
            "get": _get("modelHealth", "200 while there is such a model", {JSON: {"schema": health}}, no_model),
        },
        "/models/{model}/info": {
            "parameters": [model],
            "get": _get("modelInfo", "As /info", {JSON: {"schema": info}}, no_model),
        },
        METRICS: {"get": _get("metrics", "The counters for Prometheus", plain)},
        OPENAPI: {"get": _get("openapi", "This document", document)},
        ASYNCAPI: {"get": _get("asyncapi", "The WebSockets: events, and sound that clients send", document)},
        DOCS: {"get": _page("docs", "Both documents for people")},
        f"{PAGE}/{{digest}}/{{name}}": {
            "parameters": names,
            "get": {
                **file,
                "responses": {**file["responses"], "404": {"description": "There is none", "content": ERROR}},
            },
        },
        AUDIO: {"get": {"operationId": "audio", "summary": "A WebSocket for sound", "responses": {"426": audio}}},
    }


def _get(
    identity: str, summary: str, content: Mapping[str, object], refusals: Mapping[str, object] | None = None
) -> dict[str, Any]:
    responses = {"200": {"description": summary, "content": content}, **(refusals or {})}
    return {"operationId": identity, "summary": summary, "responses": responses}


def _page(identity: str, summary: str, kind: str = "text/html") -> dict[str, Any]:
    return _get(identity, summary, {kind: {"schema": STRING}})


def _item(path: str, item: Mapping[str, Any]) -> dict[str, Any]:
    """Return the operations of a path with what all have in common."""
    return {key: _whole(path, value) if key in METHODS else value for key, value in item.items()}


def _whole(path: str, operation: Mapping[str, Any]) -> dict[str, Any]:
    shared = {
        status: {"description": text, "content": ERROR}
        for status, text in COMMON.items()
        if not (status == "401" and path in OPEN_TO_ALL)
    }
    answers = {**shared, **operation["responses"]}
    identity = operation["operationId"]
    for status, headers in HEADERS.items():
        if status in answers:
            answers[status] = {**answers[status], "headers": {**answers[status].get("headers", {}), **headers}}
    if identity in examples.ANSWERS:
        answers["200"] = _with_example(answers["200"], examples.ANSWERS[identity])
    whole = {**operation, "responses": dict(sorted(answers.items()))}
    if identity in examples.BODIES:
        whole["requestBody"] = _with_example(operation["requestBody"], examples.BODIES[identity])
    return whole | {"security": []} if path in OPEN_TO_ALL else whole


def _with_example(told: Mapping[str, Any], example: object) -> dict[str, Any]:
    content = told["content"]
    return {**told, "content": {**content, JSON: {**content[JSON], "example": example}}}
