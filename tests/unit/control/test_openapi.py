from __future__ import annotations

from typing import Any

import msgspec
from openapi_spec_validator import validate

from earmark.control.openapi import combined

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
        "/v1/sources": ["get"],
        "/v1/sources/{name}": ["get", "patch"],
        "/v1/classifiers": ["get"],
        "/v1/classifiers/{name}": ["get", "patch"],
        "/v1/reload": ["post"],
    }
    assert {"Own", "ClassifierStatus", "SourceStatus", "Decide", "Vad"} <= document["components"]["schemas"].keys()


def test_a_change_tells_its_refusals_and_what_it_takes() -> None:
    patch = combined(BEFORE)["paths"]["/v1/classifiers/{name}"]["patch"]
    asked = patch["requestBody"]["content"]["application/json"]["schema"]
    assert set(asked["properties"]) == {"decide", "vad"}
    assert {"400", "403", "404", "415"} <= patch["responses"].keys()
