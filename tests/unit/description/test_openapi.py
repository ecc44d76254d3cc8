from __future__ import annotations

from typing import Any

import msgspec
import pytest

from earmark.description.openapi import Readiness, completed
from earmark.protocol.readiness import Need, Needs, answer

GONE = Need(False, {"source desk": "lost"})


def document(operation: dict[str, Any]) -> dict[str, Any]:
    post = {"operationId": "classify", "requestBody": {"content": {"application/json": {}}}}
    answers = {"200": {"description": "ok", "content": {"application/json": {}}}}
    paths = {"/": {"post": {**post, "responses": answers}}, "/tea": {"get": {"operationId": "tea", **operation}}}
    return completed({"paths": paths, "components": {"schemas": {}}})


def test_a_route_keeps_its_own_words_for_a_refusal_that_all_share() -> None:
    answers = document({"responses": {"403": {"description": "No tea for you"}}})["paths"]["/tea"]["get"]["responses"]
    assert answers["403"]["description"] == "No tea for you"
    assert list(answers) == ["400", "401", "403", "500", "503"]


def test_a_route_for_everybody_needs_no_token() -> None:
    health = document({"responses": {}})["paths"]["/health"]["get"]
    assert health["security"] == []
    assert "401" not in health["responses"]


def test_an_example_stands_beside_the_schema() -> None:
    content = document({"responses": {}})["paths"]["/"]["post"]["responses"]["200"]["content"]
    assert content["application/json"]["example"][0]["label"] == "happy"


@pytest.mark.parametrize(
    "needs", [{"clips": Need(True)}, {"listening": GONE, "clips": Need(True)}, {"listening": GONE}]
)
def test_the_type_of_readiness_holds_every_answer(needs: Needs) -> None:
    body, _ = answer(needs)
    assert msgspec.to_builtins(msgspec.convert(body, Readiness)) == body
