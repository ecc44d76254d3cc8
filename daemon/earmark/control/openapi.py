"""The routes that show and change a running daemon, for its OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from earmark.config.settings import Decide, Vad
from earmark.control.steering import ClassifierStatus, SourceStatus
from earmark.history.request import DEFAULT_LIMIT, MAX_LIMIT
from earmark.protocol.endpoints import CLASSIFIERS, EVENTS, RELOAD, SOURCES
from earmark.protocol.events import Numbered

REFUSALS = {
    "400": "A wrong field or value, or a wrong configuration; the sentence names it",
    "401": "A token is needed, or this one is wrong",
    "403": "The token lacks the scope `admin`, or without tokens: another machine or a foreign page asks",
    "404": "There is no such name; the sentence has the nearest one",
    "408": "The body came too slowly",
    "413": "The body is too large",
    "415": "The Content-Type is not application/json",
    "503": "A part of the daemon does not answer, such as a model process that is started again; see Retry-After",
}
OF_HISTORY = {
    "400": "A wrong parameter; the sentence names it",
    "401": "A token is needed, or this one is wrong",
    "403": "The token lacks the scope `subscribe`, or a foreign page asks",
    "426": "A handshake whose `Upgrade: websocket` was lost on the way",
    "503": "The journal cannot be read just now",
}
STRING, NULL = {"type": "string"}, {"type": "null"}
CHANGE = {
    "type": "object",
    "properties": {"key": STRING, "before": {}, "after": {}},
    "required": ["key", "before", "after"],
    "description": "A setting that became another one, such as classifier[emotion].decide.on",
}
RESTART = {"type": "array", "items": STRING, "description": "Keys that differ and need a restart"}
TOML = {"type": "string", "description": "The lines that the configuration lacks for what is in force now"}
LABEL_SET = {
    "labels": {"type": "array", "items": STRING, "description": "What to tell apart, where the model takes labels"},
    "background": {"type": "array", "items": STRING, "description": "Labels that share the score and never go on"},
    "template": {"type": "string", "description": "The text that the model reads for a label, in the place of {}"},
}
TIME = "RFC 3339, seconds since 1970, or how long ago: -10m"
HISTORY = {
    "sources": "Only events of these sources, separated by commas",
    "classifiers": "Only events of these classifiers",
    "types": "Exactly these types of events",
    "labels": "Only these labels",
    "min_score": "Only results and labels with at least this score",
    "top_k": "At most this number of labels in a result",
    "from": f"Only events from this time on: {TIME}",
    "to": f"Only events before this time: {TIME}",
    "since": "Onward from this position, EPOCH:SEQ; without it the newest events come first",
    "cursor": "The page that follows another one; see its `next`",
    "id": "Only the events of the label with this id",
    "limit": f"Events in a page, 1 to {MAX_LIMIT}; {DEFAULT_LIMIT} without it",
    "format": "json, ndjson or csv; it goes before the Accept header",
}
"""The parameters of history."""

PATCH_CLASSIFIER = "Change thresholds, gate and given labels until the next reload or restart"


def combined(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return an OpenAPI document with the routes of this package added to its own."""
    types = [SourceStatus, ClassifierStatus, Decide, Vad, Numbered]
    schemas, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    schemas = (*schemas[:2], _with_null(components, "Decide"), *schemas[3:])
    own = document["components"]
    merged = {**own, "schemas": {**own["schemas"], **components}}
    return {**document, "paths": {**document["paths"], **_paths(*schemas)}, "components": merged}


def _with_null(components: dict[str, Any], name: str) -> dict[str, Any]:
    """Add the settings as a change has them, where null takes a label's own value away, and return their schema."""
    settings = components[name]
    fields = settings["properties"]
    labels = {**fields["labels"], "additionalProperties": {"anyOf": [fields["labels"]["additionalProperties"], NULL]}}
    changed = f"{name}Change"
    components[changed] = {**settings, "title": changed, "properties": {**fields, "labels": labels}}
    return {"$ref": f"#/components/schemas/{changed}"}


def _paths(source: object, classifier: object, decide: object, vad: object, event: object) -> dict[str, Any]:
    told = {"changed": {"type": "array", "items": CHANGE}, "restart": RESTART}
    name = {"name": "name", "in": "path", "required": True, "schema": STRING, "description": "As the lists show it"}
    return {
        EVENTS: {"get": _history(event)},
        SOURCES: {"get": _operation("sources", "All sources", {"type": "array", "items": source})},
        CLASSIFIERS: {"get": _operation("classifiers", "All classifiers", {"type": "array", "items": classifier})},
        f"{SOURCES}/{{name}}": {
            "parameters": [name],
            "get": _operation("source", "One source", source, "401", "404"),
            "patch": _change("patchSource", "Pause a source, or go on", {"paused": {"type": "boolean"}}, source, told),
        },
        f"{CLASSIFIERS}/{{name}}": {
            "parameters": [name],
            "get": _operation("classifier", "One classifier", classifier, "401", "404"),
            "patch": _change(
                "patchClassifier",
                PATCH_CLASSIFIER,
                {"decide": decide, "vad": vad, **LABEL_SET},
                classifier,
                {**told, "toml": TOML},
            ),
        },
        RELOAD: {"post": _change("reload", "Read the configuration again, as at SIGHUP", {}, None, told)},
    }


def _history(event: object) -> dict[str, Any]:
    position = {"type": ["string", "null"], "description": "The cursor of the next page"}
    fields: dict[str, object] = {"epoch": STRING, "oldest": {"type": "integer"}, "next": position}
    fields["events"] = {"type": "array", "items": event}
    page = {"type": "object", "properties": fields, "required": list(fields)}
    told = _operation("history", "A page of the events that are kept", page, *OF_HISTORY, texts=OF_HISTORY)
    told["responses"]["200"]["content"] |= {kind: {"schema": STRING} for kind in ("application/x-ndjson", "text/csv")}
    names = {
        name: {"name": name, "in": "query", "schema": STRING, "description": text} for name, text in HISTORY.items()
    }
    return {**told, "parameters": list(names.values())}


def _change(
    identity: str, summary: str, fields: Mapping[str, object], status: object, told: Mapping[str, object]
) -> dict[str, Any]:
    """Describe an operation that takes an object of `fields` and answers the status with what it changed."""
    asked = {"type": "object", "properties": fields, "additionalProperties": False}
    changed = {"type": "object", "properties": told, "required": list(told)}
    answer = changed if status is None else {"allOf": [status, changed]}
    return {
        **_operation(identity, summary, answer, *REFUSALS),
        "requestBody": {"required": bool(fields), "content": {"application/json": {"schema": asked}}},
    }


def _operation(
    identity: str, summary: str, schema: object, *refusals: str, texts: Mapping[str, str] = REFUSALS
) -> dict[str, Any]:
    error = {"type": "object", "properties": {"error": STRING}, "required": ["error"]}
    answers = {status: _answer(texts[status], error) for status in refusals}
    return {"operationId": identity, "summary": summary, "responses": {"200": _answer(summary, schema), **answers}}


def _answer(description: str, schema: object) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}
