from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
from openapi_spec_validator import validate

from earmark.broadcast.subscription import Subscription
from earmark.control.openapi import combined
from earmark.history.request import PARAMETERS, STREAM_ONLY

BEFORE: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "Earmark", "version": "0"},
    "paths": {"/own": {"get": {"operationId": "own", "responses": {"200": {"description": "ok"}}}}},
    "components": {"schemas": {"Own": {"type": "object"}}, "securitySchemes": {}},
}


def test_the_routes_are_added_and_the_document_is_valid() -> None:
    document = combined(BEFORE)
    validate(msgspec.json.decode(msgspec.json.encode(document)))
    assert {path: sorted({*item} - {"parameters"}) for path, item in document["paths"].items()} == {
        "/own": ["get"],
        "/v1/events": ["get"],
        "/v1/sources": ["get"],
        "/v1/sources/{name}": ["get", "patch"],
        "/v1/classifiers": ["get"],
        "/v1/classifiers/{name}": ["get", "patch"],
        "/v1/reload": ["post"],
    }
    assert {"Own", "ClassifierStatus", "SourceStatus", "Decide", "Vad"} <= document["components"]["schemas"].keys()


def test_history_tells_the_parameters_that_it_takes() -> None:
    get = combined(BEFORE)["paths"]["/v1/events"]["get"]
    told = {parameter["name"] for parameter in get["parameters"]}
    filters = {field.name for field in dataclasses.fields(Subscription)}
    assert told == filters - {*STREAM_ONLY} | {*PARAMETERS}
    assert set(get["responses"]["200"]["content"]) == {"application/json", "application/x-ndjson", "text/csv"}


def test_a_change_tells_its_refusals_and_what_it_takes() -> None:
    patch = combined(BEFORE)["paths"]["/v1/classifiers/{name}"]["patch"]
    asked = patch["requestBody"]["content"]["application/json"]["schema"]
    assert set(asked["properties"]) == {"decide", "vad", "labels", "background", "template"}
    assert {"400", "403", "404", "415"} <= patch["responses"].keys()
