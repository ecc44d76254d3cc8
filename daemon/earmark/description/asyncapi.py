"""The WebSockets as an AsyncAPI 3 document, written from the types of the messages."""

from __future__ import annotations

import inspect
from typing import Any, get_args

import msgspec

from earmark.broadcast.subscription import Subscription
from earmark.description import examples
from earmark.protocol.endpoints import AUDIO, DEFAULT_ADDRESS, EVENTS, SUBPROTOCOL, TOKEN_SUBPROTOCOL
from earmark.protocol.events import CONNECTION_TYPES, TYPES, Error, Event, Score, Subscribed
from earmark.uplink.parameters import Announced

VERSION = "3.0.0"
SCHEMAS = "#/components/schemas/"
JSON = "application/json"
STRING = {"type": "string"}

FILTERS = {
    "sources": "Only events of these sources",
    "classifiers": "Only events of these classifiers",
    "types": "Exactly these types. Without it: " + ", ".join(sorted(Subscription().types)),
    "labels": "Only these labels",
    "min_score": "Only results and labels with at least this score",
    "top_k": "At most this number of labels in a result",
    "every": "Seconds in which at most one result per source and classifier is sent, the newest",
    "shape": "api: only results, each as the array of the HTTP API",
    "policy": "What happens when a subscriber's backlog is full: drop the oldest event, keep only the latest result per"
    " source and classifier, or close the connection",
}
"""What each field of a subscription does."""

SINCE = "Resume after this position, EPOCH:SEQ"
LIST = "; names are separated by commas, and one that holds a comma stands between double quotes"
SOUND = {
    "source": "The name of a source of kind `network`",
    "rate": "Samples a second of each channel",
    "channels": "Interleaved channels",
    "format": "s16le, or f32le with full scale at 1",
    "lost": "Seconds of sound that could not be sent since the last connection; without it, the time between the two",
}
"""What each parameter of a sender says."""

EVENTS_TEXT = f"""The event stream. Each text frame is one JSON object. `hello` comes first. The subprotocol
`{SUBPROTOCOL}` is optional. Within v1, types and fields are only added: ignore those that you do not know.

Closing codes: 1001 the daemon ends, 1008 too many messages, 1009 a message that is too big, 1013 too slow.

The handshake is refused with 400 (a wrong parameter, which the JSON `error` names), 401 (no token), 403 (a foreign
Origin or Host, or a token without the scope `subscribe`), or 503 with Retry-After (no place)."""

AUDIO_TEXT = """Sound for a source of kind `network`, as PCM in binary messages without a header. One client sends for a
source at a time, and who sends faster than real time is slowed down by TCP. Nothing comes back but answers to pings.

Closing codes: 1001 the source was paused or removed, or the daemon ends; 1003 text message, 1008 too many messages,
1009 a message that is too big.

The handshake is refused with 400 (a wrong parameter, or a source of another kind), 401 (no token), 403 (a foreign
Origin or Host, or a token without the scope `send`), 404 (no such source), 409 (another client sends for it), or 503
with Retry-After (the source is paused, or no place)."""

SECURITY_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "Authorization: Bearer TOKEN"},
    "subprotocol": {
        "type": "httpApiKey",
        "in": "header",
        "name": "Sec-WebSocket-Protocol",
        "description": f"For browsers, which cannot set Authorization: offer the subprotocols {SUBPROTOCOL} and"
        f" {TOKEN_SUBPROTOCOL} + the token in base64url without =.",
    },
}
SUBSCRIBE = {
    "name": "subscribe",
    "summary": "Another filter; with `since`, what came after that position follows",
    "contentType": JSON,
    "payload": {"$ref": f"{SCHEMAS}Subscribe"},
    "examples": [{"name": "filter", "payload": examples.SUBSCRIBE}, {"name": "resume", "payload": examples.RESUME}],
}
PCM = {
    "name": "sound",
    "summary": "PCM of any length up to 1 MiB, which may end in the middle of a sample",
    "contentType": "application/octet-stream",
    "payload": {"type": "string", "format": "binary"},
}


def document(release: str) -> dict[str, Any]:
    """Return the whole document. `release` is the version of the daemon."""
    kinds: tuple[Any, ...] = get_args(Event)
    schemas, components = schemas_of([*kinds, list[Score], Subscription, Announced])
    told = {_tag(kind): _message(kind, schema) for kind, schema in zip(kinds, schemas, strict=False)}
    told["scores"] = {
        "name": "scores",
        "summary": "A result for a subscriber with shape=api",
        "contentType": JSON,
        "payload": schemas[len(kinds)],
        "examples": [{"name": "scores", "payload": examples.SCORES}],
    }
    filters, sound = components.pop("Subscription")["properties"], components.pop("Announced")
    components["Subscribe"] = _subscribe(filters)
    return {
        "asyncapi": VERSION,
        "info": {
            "title": "Earmark",
            "version": release,
            "description": "Labels of live sound, while it is heard. This document speaks of the daemon: it sends what"
            " its operations send, and receives what they receive.",
        },
        "defaultContentType": JSON,
        "servers": {
            "daemon": {
                "host": DEFAULT_ADDRESS,
                "protocol": "ws",
                "description": "Where the daemon has tokens, one is needed, in one of these two ways.",
                "security": [_to("securitySchemes", name) for name in SECURITY_SCHEMES],
            }
        },
        "channels": {
            "events": _channel(EVENTS, "Events", EVENTS_TEXT, [*told, "subscribe"], _event_query(filters)),
            "audio": _channel(AUDIO, "Sound from elsewhere", AUDIO_TEXT, ["sound"], _sound_query(sound)),
        },
        "operations": {
            "tell": _operation("send", "events", "Tell a subscriber what is heard", *told),
            "subscribe": {
                **_operation("receive", "events", "Take another filter, which replaces the old one whole", "subscribe"),
                "reply": {
                    "channel": {"$ref": "#/channels/events"},
                    "messages": [_on("events", _tag(kind)) for kind in (Subscribed, Error)],
                },
            },
            "hear": _operation("receive", "audio", "Take sound for a source", "sound"),
        },
        "components": {
            "schemas": components,
            "messages": {**told, "subscribe": SUBSCRIBE, "sound": PCM},
            "securitySchemes": SECURITY_SCHEMES,
        },
    }


def schemas_of(types: list[Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the JSON schemas of `types`, and the components that they refer to."""
    found, components = msgspec.json.schema_components(types, ref_template=SCHEMAS + "{name}")
    return list(found), plain(components)


def plain(components: dict[str, Any]) -> dict[str, Any]:
    """Return the components with the indentation taken out of their descriptions, which are docstrings."""
    return {
        name: {**each, "description": inspect.cleandoc(each["description"])} if "description" in each else each
        for name, each in components.items()
    }


def _tag(kind: Any) -> str:
    return str(kind.__struct_config__.tag)


def _message(kind: type, schema: dict[str, Any]) -> dict[str, Any]:
    name, summary = _tag(kind), (inspect.getdoc(kind) or "").partition("\n")[0]
    return {"name": name, "summary": summary, "contentType": JSON, "payload": schema, "examples": examples.of(kind)}


def _channel(address: str, title: str, text: str, messages: list[str], query: dict[str, Any]) -> dict[str, Any]:
    return {
        "address": address,
        "title": title,
        "description": text,
        "messages": {name: _to("messages", name) for name in messages},
        "bindings": {"ws": {"method": "GET", "query": query, "bindingVersion": "0.1.0"}},
    }


def _operation(action: str, channel: str, summary: str, *messages: str) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "summary": summary,
        "messages": [_on(channel, name) for name in messages],
    }


def _subscribe(filters: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of the message, whose fields are those of a filter, with lists also as text."""
    fields: dict[str, Any] = {"type": {"enum": ["subscribe"]}}
    for name, schema in filters.items():
        taken = _typed(name, schema)
        fields[name] = {"anyOf": [STRING, taken]} if taken.get("type") == "array" else taken
        fields[name] |= {"description": FILTERS[name]}
    fields["since"] = {**STRING, "description": SINCE}
    return {
        "title": "Subscribe",
        "type": "object",
        "properties": fields,
        "required": ["type"],
        "additionalProperties": False,
    }


def _typed(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a filter's field as it is sent, without null and the default."""
    schema = schema["anyOf"][0] if "anyOf" in schema else schema
    schema = {key: value for key, value in schema.items() if key != "default"}
    if name == "types":
        schema = {**schema, "items": {"enum": sorted(TYPES | CONNECTION_TYPES)}}
    return {**schema, "minimum": 0} if name in ("every", "top_k") else schema


def _event_query(filters: dict[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, schema in filters.items():
        typed = _typed(name, schema)
        is_list = typed.get("type") == "array"
        fields[name] = {**(STRING if is_list else typed), "description": FILTERS[name] + (LIST if is_list else "")}
    return {"type": "object", "properties": {**fields, "since": {**STRING, "description": SINCE}}}


def _sound_query(sound: dict[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, schema in sound["properties"].items():
        typed = schema["anyOf"][0] if "anyOf" in schema else schema
        fields[name] = {**typed, "description": SOUND[name]}
    return {"type": "object", "properties": fields, "required": sound["required"]}


def _to(kind: str, name: str) -> dict[str, str]:
    return {"$ref": f"#/components/{kind}/{name}"}


def _on(channel: str, message: str) -> dict[str, str]:
    return {"$ref": f"#/channels/{channel}/messages/{message}"}
