"""Both documents as one HTML page for people, without scripts. It is the same for everybody and shows no data."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

METHODS = ("get", "post", "patch", "delete")
HEAD = """<!doctype html>
<html lang="en" data-theme="auto">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <title>Earmark for programs</title>
    <link rel="icon" href="page/HASH/icon.svg" type="image/svg+xml">
    <link rel="stylesheet" href="page/HASH/page.css">
    <link rel="stylesheet" href="page/HASH/docs.css">
    <script src="page/HASH/theme.js"></script>
  </head>
  <body>
    <header class="top"><h1 class="brand"><a href="./">Earmark</a> for programs</h1></header>
    <main class="docs">
"""
INTRODUCTION = """
<section class="card">
<p>A daemon tells what it hears over a WebSocket, and answers requests over HTTP, both at one port.</p>
<ul class="jump">
<li><a href="#messages">WebSockets</a>: <a href="asyncapi.json">asyncapi.json</a> (AsyncAPI 3)</li>
<li><a href="#routes">HTTP routes</a>: <a href="openapi.json">openapi.json</a> (OpenAPI 3.1)</li>
<li><a href="#types">Types</a></li>
</ul>
<p>Where the daemon has tokens, send <code>Authorization: Bearer TOKEN</code>. Every refusal is JSON with an
<code>error</code>.</p>
</section>
"""
FOOT = "</main></body></html>\n"


def page(openapi: Mapping[str, Any], asyncapi: Mapping[str, Any], digest: str) -> bytes:
    """Return the page. `digest` names the folder of the page's files."""
    types = {**openapi["components"]["schemas"], **asyncapi["components"]["schemas"]}
    parts = [
        HEAD.replace("HASH", digest),
        INTRODUCTION,
        '<h2 id="messages">WebSockets</h2>',
        *(_channel(name, asyncapi) for name in asyncapi["channels"]),
        '<h2 id="routes">HTTP routes</h2>',
        *(_route(path, item) for path, item in sorted(openapi["paths"].items())),
        '<h2 id="types">Types</h2>',
        *(_type(name, schema) for name, schema in sorted(types.items())),
        FOOT,
    ]
    return "\n".join(parts).encode()


def _channel(name: str, asyncapi: Mapping[str, Any]) -> str:
    channel, messages = asyncapi["channels"][name], asyncapi["components"]["messages"]
    query = channel["bindings"]["ws"]["query"]
    told = [
        (operation["action"], reference["$ref"].rpartition("/")[2])
        for operation in asyncapi["operations"].values()
        if operation["channel"]["$ref"].endswith(f"/{name}")
        for reference in operation["messages"]
    ]
    return (
        f'<section class="card" id="{_id(channel["address"])}">'
        f"<h3><code>{escape(channel['address'])}</code> <small>{escape(channel['title'])}</small></h3>"
        f"{_text(channel['description'])}<h4>Parameters</h4>{_fields(query)}<h4>Messages</h4>"
        f"{''.join(_message(action, messages[message]) for action, message in told)}</section>"
    )


def _message(action: str, message: Mapping[str, Any]) -> str:
    way = "daemon to client" if action == "send" else "client to daemon"
    examples = "".join(_example(each["payload"]) for each in message.get("examples", ()))
    return (
        f"<details><summary><code>{escape(message['name'])}</code> {_marked(message['summary'])} <small>{way}</small>"
        f"</summary><p>{_kind(message['payload'])}</p>{examples}</details>"
    )


def _route(path: str, item: Mapping[str, Any]) -> str:
    return "".join(_operation(method, path, item) for method in METHODS if method in item)


def _operation(method: str, path: str, item: Mapping[str, Any]) -> str:
    operation = item[method]
    parameters = [*item.get("parameters", ()), *operation.get("parameters", ())]
    rows = [
        (
            _name(each["name"], each.get("required", False)),
            each["in"],
            _kind(each["schema"]),
            each.get("description", ""),
        )
        for each in parameters
    ]
    answers = [
        (status, _marked(each["description"]), _content(each)) for status, each in operation["responses"].items()
    ]
    badge, identity = f'<b class="{method}">{method.upper()}</b>', escape(operation["operationId"])
    return (
        f'<details class="card" id="{identity}"><summary>{badge} <code>{escape(path)}</code> '
        f"{_marked(operation.get('summary', ''))}</summary>"
        + (f"<h4>Parameters</h4>{_table(('name', 'in', 'type', ''), rows)}" if rows else "")
        + (f"<h4>Body</h4>{_content(operation['requestBody'])}" if "requestBody" in operation else "")
        + f"<h4>Answers</h4>{_table(('status', 'when', 'content'), answers)}</details>"
    )


def _content(told: Mapping[str, Any]) -> str:
    return "".join(
        f"<p><small>{escape(kind)}</small> {_kind(each.get('schema', {}))}</p>"
        + (_example(each["example"]) if "example" in each else "")
        for kind, each in told.get("content", {}).items()
    )


def _type(name: str, schema: Mapping[str, Any]) -> str:
    about = _text(schema.get("description", ""))
    fields = _fields(schema) if "properties" in schema else f"<p>{_kind(schema)}</p>"
    return f'<section class="card" id="type-{_id(name)}"><h3><code>{escape(name)}</code></h3>{about}{fields}</section>'


def _fields(schema: Mapping[str, Any]) -> str:
    needed = schema.get("required", ())
    rows = [
        (_name(name, name in needed), _kind(field), _text(field.get("description", "")))
        for name, field in schema["properties"].items()
    ]
    return _table(("field", "type", ""), rows)


def _kind(schema: Mapping[str, Any]) -> str:
    """Return a schema in a few words, with links to types that have names."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#type-{_id(name)}">{escape(name)}</a>'
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        return " or ".join(f"<code>{escape(json.dumps(value))}</code>" for value in values)
    for several, word in (("anyOf", " or "), ("oneOf", " or "), ("allOf", " and ")):
        if several in schema:
            return word.join(map(_kind, schema[several]))
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object, each value: {_kind(schema['additionalProperties'])}"
    if schema.get("type") == "object" and "properties" in schema:
        return f"object{_fields(schema)}"
    kinds = schema.get("type", "anything")
    said = kinds if isinstance(kinds, str) else " or ".join(kinds)
    limits = [
        f"{word} {schema[key]:g}" for key, word in (("minimum", "at least"), ("maximum", "at most")) if key in schema
    ]
    return escape(", ".join([said, *limits]))


def _name(name: str, needed: bool) -> str:
    return f"<code>{escape(name)}</code>{'' if needed else ' <small>optional</small>'}"


def _table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    head = "".join(f"<th>{each}</th>" for each in heads)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _example(content: object) -> str:
    return f"<pre>{escape(json.dumps(content, ensure_ascii=False, indent=1))}</pre>"


def _text(text: str) -> str:
    """Return paragraphs, in which what stands between backquotes is code."""
    paragraphs = (part.strip() for part in text.split("\n\n"))
    return "".join(f"<p>{_marked(part)}</p>" for part in paragraphs if part)


def _marked(text: str) -> str:
    parts = text.split("`")
    return "".join(f"<code>{escape(part)}</code>" if number % 2 else escape(part) for number, part in enumerate(parts))


def _id(name: str) -> str:
    return escape(name.strip("/").replace("/", "-"))
