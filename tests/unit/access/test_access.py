from __future__ import annotations

import pytest

from earmark.access.access import Access, parse_target, scope_of
from earmark.access.origins import Origins
from earmark.access.tokens import Refusal, Tokens, TokenScope

ACCESS = Access(Origins("127.0.0.1"), Tokens({"ear": {"listen"}}))


def test_a_foreign_host_or_page_is_forbidden_with_the_sentence_of_the_rule() -> None:
    assert ACCESS.refuse_origin(["localhost"], []) is None
    assert ACCESS.refuse_origin([], []) == Refusal(403, "Host: the header is missing")
    refused = ACCESS.refuse_origin(["localhost"], ["https://evil.example"])
    assert refused is not None
    assert (refused.status, refused.error.startswith("Origin: ")) == (403, True)


def test_a_header_that_comes_twice_is_refused_though_both_are_right() -> None:
    twice = ["localhost", "localhost"]
    assert ACCESS.refuse_origin(twice, []) == Refusal(400, "Host: the header is there 2 times")
    page = "http://localhost"
    assert ACCESS.refuse_origin(["localhost"], [page] * 3) == Refusal(400, "Origin: the header is there 3 times")
    refused = Refusal(401, "Authorization: the header is there 2 times", "Bearer")
    assert ACCESS.refuse_token("listen", ["Bearer ear", "Bearer ear"]) == refused


def test_a_token_is_looked_at_with_the_scope_that_is_asked_for() -> None:
    assert ACCESS.refuse_token("listen", ["Bearer ear"]) is None
    refused = ACCESS.refuse_token("admin", ["Bearer ear"])
    assert refused is not None
    assert refused.status == 403
    without = Access(Origins("127.0.0.1"))  # no tokens, so nobody needs one
    assert [without.refuse_token("admin", shown) for shown in ([], ["a", "b"])] == [None, None]


@pytest.mark.parametrize(("method", "scope"), [("POST", "clips"), ("GET", None), ("HEAD", None)])
def test_posting_asks_for_the_scope_of_clips_and_looking_for_none(method: str, scope: TokenScope | None) -> None:
    assert scope_of(method) == scope


def test_the_authority_of_a_target_takes_the_place_of_the_host_header() -> None:
    assert ACCESS.refuse_origin(["evil.example"], [], authority="localhost") is None
    refused = ACCESS.refuse_origin(["localhost"], [], authority="evil.example")
    assert refused is not None
    assert refused.status == 403


def test_only_a_request_of_http_1_0_without_a_page_needs_no_host() -> None:
    assert ACCESS.refuse_origin([], [], version="1.0") is None
    assert ACCESS.refuse_origin([], [], version="1.1") == Refusal(403, "Host: the header is missing")
    assert ACCESS.refuse_origin([], ["https://evil.example"], version="1.0") is not None
    assert ACCESS.refuse_origin(["evil.example"], [], version="1.0") is not None


@pytest.mark.parametrize(
    ("target", "parsed"),
    [
        ("/v1/events", (None, "/v1/events")),
        ("//v1/events", (None, "/v1/events")),
        ("http://office:8765/v1/events", ("office:8765", "/v1/events")),
        ("WSS://office/v1/events", ("office", "/v1/events")),
        ("https://office//info", ("office", "/info")),
        ("http://office", ("office", "/")),
        ("*", (None, "*")),
        ("ftp://office/a", (None, "ftp://office/a")),
    ],
)
def test_a_target_is_an_authority_and_a_path(target: str, parsed: tuple[str | None, str]) -> None:
    assert parse_target(target) == parsed
