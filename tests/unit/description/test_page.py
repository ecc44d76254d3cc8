from __future__ import annotations

from typing import Any

from earmark.description import asyncapi
from earmark.description.page import page

STREAM = asyncapi.document("1.0.0")


def rendered(operation: dict[str, Any], schemas: dict[str, Any] | None = None) -> str:
    document = {"paths": {"/tea": {"get": {"operationId": "tea", "responses": {}, **operation}}}}
    return page(document | {"components": {"schemas": schemas or {}}}, STREAM, "d1ce57").decode()


def test_text_of_the_documents_is_no_html() -> None:
    html = rendered({"summary": "<b>`a<b`", "responses": {"200": {"description": "a & b"}}})
    assert "&lt;b&gt;<code>a&lt;b</code>" in html
    assert "a &amp; b" in html


def test_a_parameter_tells_its_type_and_whether_it_may_be_left_out() -> None:
    needed = {"name": "n", "in": "query", "required": True, "schema": {"type": "integer", "minimum": 1}}
    html = rendered({"parameters": [needed, {"name": "m", "in": "query", "schema": {"enum": ["a", "b"]}}]})
    assert "<td><code>n</code></td><td>query</td><td>integer, at least 1</td>" in html
    assert "<td><code>m</code> <small>optional</small></td>" in html
    assert "<code>&quot;a&quot;</code> or <code>&quot;b&quot;</code>" in html


def test_a_type_is_linked_to_its_description() -> None:
    schemas = {
        "Cup": {"type": "object", "properties": {"size": {"type": ["integer", "null"]}}, "description": "Of tea."}
    }
    content = {"application/json": {"schema": {"type": "array", "items": {"$ref": "#/components/schemas/Cup"}}}}
    html = rendered({"responses": {"200": {"description": "Cups", "content": content}}}, schemas)
    assert 'list of <a href="#type-Cup">Cup</a>' in html
    assert 'id="type-Cup"' in html
    assert "<p>Of tea.</p>" in html
    assert "integer or null" in html


def test_a_message_tells_which_way_it_goes() -> None:
    html = rendered({})
    assert html.count("client to daemon") == 2  # subscribe, sound
    assert html.count("daemon to client") == len(STREAM["operations"]["tell"]["messages"])


def test_the_files_are_those_of_the_page() -> None:
    assert 'href="page/d1ce57/docs.css"' in rendered({})
