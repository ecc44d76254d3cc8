"""The documents for programs and the page for people: complete, valid, and true of a running daemon."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from starlette.routing import BaseRoute, Route

from earmark.app.events import Options
from earmark.app.service import Service
from earmark.config.settings import Config
from earmark.description import asyncapi
from tests.posting import COMMANDS, Client, encoded, noisy

METHODS = ("get", "post", "patch", "delete", "put")


async def assembled() -> tuple[tuple[BaseRoute, ...], dict[str, Any]]:
    service = Service(Config(), Options())
    return service.routes, json.loads(json.dumps(service.openapi))


ROUTES, DOCUMENT = asyncio.run(assembled())
OPERATIONS = {
    (method.upper(), path): item[method]
    for path, item in DOCUMENT["paths"].items()
    for method in METHODS
    if method in item
}


def check(schema: dict[str, Any], content: object) -> None:
    Draft202012Validator({**schema, "components": DOCUMENT["components"]}).validate(content)


def contents(told: Any) -> Iterator[dict[str, Any]]:
    """Yield every media type in a part of the document."""
    if isinstance(told, dict):
        yield from told["content"].values() if isinstance(told.get("content"), dict) else ()
        for each in told.values():
            yield from contents(each)


def test_every_route_and_method_of_the_daemon_is_described_and_no_other() -> None:
    there = {
        (method, route.path.replace(":path}", "}"))
        for route in ROUTES
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert there == OPERATIONS.keys()


def test_the_document_is_valid_openapi() -> None:
    validate(DOCUMENT)


def test_every_operation_names_its_refusals_and_those_that_all_share() -> None:
    for (method, path), operation in OPERATIONS.items():
        shared = (
            {"400", "403", "500", "503"} if operation.get("security") == [] else {"400", "401", "403", "500", "503"}
        )
        assert shared <= operation["responses"].keys(), (method, path)
    free = {path for (_, path), operation in OPERATIONS.items() if operation.get("security") == []}
    assert free == {"/health", "/live", "/ready", "/docs", "/page/{digest}/{name}"}


def test_a_retry_after_is_told_where_it_may_come() -> None:
    for operation in OPERATIONS.values():
        for status in {"429", "503"} & operation["responses"].keys():
            assert "Retry-After" in operation["responses"][status]["headers"]


def test_the_examples_are_valid() -> None:
    found = [each for operation in OPERATIONS.values() for each in contents(operation) if "example" in each]
    assert len(found) > 20
    for each in found:
        check(each["schema"], each["example"])


def test_types_of_one_name_are_one_type() -> None:
    stream = json.loads(json.dumps(asyncapi.document("1.0.0")))["components"]["schemas"]
    own = DOCUMENT["components"]["schemas"]
    assert {name: own[name] for name in stream.keys() & own.keys()} == {
        name: stream[name] for name in stream.keys() & own.keys()
    }


@pytest.mark.parametrize(
    ("path", "told", "status"),
    [
        ("/health", "/health", 200),
        ("/live", "/live", 200),
        ("/ready", "/ready", 200),
        ("/ready?for=tea", "/ready", 400),
        ("/info", "/info", 200),
        ("/v1/models", "/v1/models", 200),
        ("/status/earmark/commands", "/status/{model}", 200),
        ("/status/nobody/nothing", "/status/{model}", 404),
        (f"{COMMANDS}/health", "/models/{model}/health", 200),
        (f"{COMMANDS}/info", "/models/{model}/info", 200),
        ("/models/nobody/nothing/info", "/models/{model}/info", 404),
        ("/v1/sources", "/v1/sources", 200),
        ("/v1/sources/nobody", "/v1/sources/{name}", 404),
        ("/v1/classifiers", "/v1/classifiers", 200),
        ("/v1/classifiers/commands", "/v1/classifiers/{name}", 200),
        ("/v1/events", "/v1/events", 200),
        ("/v1/events?limit=none", "/v1/events", 400),
        ("/v1/audio", "/v1/audio", 426),
        ("/v1/clips", "/v1/clips", 200),
        ("/v1/clips/nothing", "/v1/clips/{id}", 404),
    ],
)
def test_an_answer_is_as_the_document_says(client: Client, path: str, told: str, status: int) -> None:
    reply = client.get(path)
    assert reply.status == status
    described = OPERATIONS["GET", told]["responses"][str(status)]
    check(described["content"]["application/json"]["schema"], reply.json)


def test_the_scores_of_a_clip_are_as_the_document_says(client: Client) -> None:
    described = OPERATIONS["POST", "/"]["responses"]["200"]["content"]["application/json"]["schema"]
    check(described, client.post(encoded(noisy(0.5, 1))).json)


def test_the_daemon_serves_both_documents(client: Client) -> None:
    assert client.get("/openapi.json").json["paths"].keys() == DOCUMENT["paths"].keys()
    assert client.get("/asyncapi.json").json["channels"].keys() == {"events", "audio"}


def test_the_page_for_people_has_every_route_message_and_type(client: Client) -> None:
    reply = client.get("/docs")
    page = reply.body.decode()
    assert (reply.status, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert reply.headers["content-security-policy"].startswith("default-src 'none'")
    for method, path in OPERATIONS:
        assert f"{method}</b> <code>{path}</code>" in page
    stream = asyncapi.document("1.0.0")
    for name in (*stream["components"]["messages"], *(channel["address"] for channel in stream["channels"].values())):
        assert f"<code>{name}</code>" in page
    targets = set(re.findall(r'href="#([^"]+)"', page))
    assert targets <= set(re.findall(r' id="([^"]+)"', page))
    assert {f"type-{name}" for name in DOCUMENT["components"]["schemas"]} <= set(re.findall(r' id="([^"]+)"', page))


def test_the_page_for_people_loads_nothing_but_files_of_the_daemon(client: Client) -> None:
    page = client.get("/docs").body.decode()
    loaded = re.findall(r'(?:src|<link[^>]*href)="([^"]+)"', page)
    assert len(loaded) == 4
    for name in loaded:
        assert client.get(f"/{name}").status == 200
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", page)
    assert not re.search(r"<script(?! src)|style=", page)
