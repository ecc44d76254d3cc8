"""JSON over HTTP, and the form of every refusal: an object with the string `error`."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

import msgspec
from starlette.responses import Response


def json_response(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a response with `content` as JSON: anything that msgspec encodes."""
    return Response(msgspec.json.encode(content), status, headers, media_type="application/json")


def error_response(error: str, status: int, headers: Mapping[str, str] | None = None) -> Response:
    """Return a refusal whose sentence is `error`."""
    return Response(error_body(error), status, headers, media_type="application/json")


def error_on_the_wire(error: str, status: int, headers: Mapping[str, str] | None = None) -> bytes:
    """Return a refusal as it is sent where there is no application to send it; the connection is closed after it."""
    body = error_body(error)
    fields = {"content-type": "application/json", "content-length": str(len(body)), "connection": "close"}
    lines = [f"{name}: {value}" for name, value in (fields | dict(headers or {})).items()]
    head = "\r\n".join([f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *lines, "", ""])
    return head.encode() + body


def error_body(error: str) -> bytes:
    """Return the JSON of a refusal."""
    return msgspec.json.encode({"error": error})
