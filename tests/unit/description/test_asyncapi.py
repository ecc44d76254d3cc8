from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

from earmark.broadcast.subscription import Subscription
from earmark.description import examples
from earmark.description.asyncapi import document
from earmark.errors import SubscriptionError
from earmark.protocol.events import CONNECTION_TYPES, TYPES, decode, encode
from earmark.stream.subscribe_request import parse_message
from earmark.uplink.parameters import FORMATS, Announced, parse
from tests.daemon import ROOT

DOCUMENT: dict[str, Any] = json.loads(json.dumps(document("1.0.0")))
MESSAGES: dict[str, Any] = DOCUMENT["components"]["messages"]
PROTOCOL = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")


def validator(schema: dict[str, Any]) -> Draft202012Validator:
    """Check against a schema of the document, and refuse fields that its objects do not name."""
    closed = msgspec.json.decode(msgspec.json.encode(DOCUMENT["components"]))
    for component in closed["schemas"].values():
        if "properties" in component:
            component["additionalProperties"] = False
    return Draft202012Validator({**schema, "components": closed})


def documented() -> Iterator[dict[str, Any]]:
    """Yield the messages in the JSON blocks of docs/protocol.md, also those within an answer's `events`."""
    for block in re.findall(r"^```json\n(.*?)^```", PROTOCOL, re.MULTILINE | re.DOTALL):
        position = 0
        while found := re.compile(r"\s*(?=\{)").match(block, position):
            value, position = json.JSONDecoder().raw_decode(block, found.end())
            yield from (each for each in (value, *value.get("events", ())) if "type" in each)


def test_every_message_of_the_protocol_is_in_the_document() -> None:
    assert MESSAGES.keys() == TYPES - {"suppressed"} | CONNECTION_TYPES | {"scores", "subscribe", "sound"}
    assert {name: set(channel["messages"]) for name, channel in DOCUMENT["channels"].items()} == {
        "events": MESSAGES.keys() - {"sound"},
        "audio": {"sound"},
    }


def test_what_the_daemon_sends_and_what_it_takes_are_apart() -> None:
    ways = {name: (each["action"], each["channel"]["$ref"]) for name, each in DOCUMENT["operations"].items()}
    assert ways == {
        "tell": ("send", "#/channels/events"),
        "subscribe": ("receive", "#/channels/events"),
        "hear": ("receive", "#/channels/audio"),
    }
    told = {each["$ref"].rpartition("/")[2] for each in DOCUMENT["operations"]["tell"]["messages"]}
    assert told == MESSAGES.keys() - {"subscribe", "sound"}


@pytest.mark.parametrize("name", sorted(MESSAGES.keys() - {"sound"}))
def test_the_examples_of_a_message_are_valid(name: str) -> None:
    check = validator(MESSAGES[name]["payload"])
    assert [list(check.iter_errors(example["payload"])) for example in MESSAGES[name]["examples"]]
    for example in MESSAGES[name]["examples"]:
        check.validate(example["payload"])


@pytest.mark.parametrize(("name", "event"), examples.EVENTS)
def test_an_example_is_an_event_that_a_client_reads(name: str, event: Any) -> None:
    assert decode(encode(event)) == event
    told = [example["payload"] for example in MESSAGES[event.__struct_config__.tag]["examples"]]
    assert examples.plain(event) in told


def test_the_messages_in_the_protocol_document_are_valid() -> None:
    told = list(documented())
    assert {message["type"] for message in told} >= TYPES - {"suppressed"} | {"hello", "gap", "error"}
    for message in told:
        if message["type"] in MESSAGES:  # `progress` comes over HTTP alone
            validator(MESSAGES[message["type"]]["payload"]).validate(message)


@pytest.mark.parametrize("message", [examples.SUBSCRIBE, examples.RESUME], ids=["filter", "resume"])
def test_the_daemon_takes_the_examples_of_subscribe(message: dict[str, Any]) -> None:
    assert parse_message(json.dumps(message)).filter != Subscription()


@pytest.mark.parametrize(
    "field",
    [{"types": ["no such"]}, {"top_k": -1}, {"shape": "flat"}, {"every": -1}, {"min_score": []}, {"unknown": 1}],
)
def test_what_the_daemon_refuses_is_not_valid(field: dict[str, Any]) -> None:
    message = {"type": "subscribe", **field}
    with pytest.raises(SubscriptionError):
        parse_message(json.dumps(message))
    assert not validator(MESSAGES["subscribe"]["payload"]).is_valid(message)


def test_the_parameters_are_those_that_the_daemon_takes() -> None:
    query = {name: channel["bindings"]["ws"]["query"] for name, channel in DOCUMENT["channels"].items()}
    filters = {field.name for field in dataclasses.fields(Subscription)}
    assert query["events"]["properties"].keys() == filters | {"since"}
    assert query["audio"]["properties"].keys() == {*Announced.__struct_fields__}
    assert query["audio"]["required"] == ["source"]
    assert set(query["audio"]["properties"]["format"]["enum"]) == {*FORMATS}
    assert all(field["description"] for each in query.values() for field in each["properties"].values())


def test_the_limits_of_a_rate_are_those_that_the_daemon_holds() -> None:
    rate = DOCUMENT["channels"]["audio"]["bindings"]["ws"]["query"]["properties"]["rate"]
    for value, is_taken in ((rate["minimum"], True), (rate["minimum"] - 1, False), (rate["maximum"] + 1, False)):
        try:
            taken = parse([("source", "phone"), ("rate", str(value))]).rate == value
        except SubscriptionError:
            taken = False
        assert taken is is_taken


def test_a_token_goes_into_a_header_or_a_subprotocol() -> None:
    schemes = DOCUMENT["components"]["securitySchemes"]
    offered = [scheme["$ref"].rpartition("/")[2] for scheme in DOCUMENT["servers"]["daemon"]["security"]]
    assert offered == list(schemes) == ["bearer", "subprotocol"]
