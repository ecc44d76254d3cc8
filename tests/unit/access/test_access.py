from __future__ import annotations

import pytest

from earmark.access.access import Access, is_local, parse_target, scope_of
from earmark.access.origins import Origins
from earmark.access.tokens import Refusal, Tokens, TokenScope

ACCESS = Access(Origins("127.0.0.1"), Tokens.plain({"ear": {"subscribe"}}))


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
    assert ACCESS.refuse_token("subscribe", ["Bearer ear", "Bearer ear"]) == refused


def test_a_token_is_looked_at_with_the_scope_that_is_asked_for() -> None:
    assert ACCESS.refuse_token("subscribe", ["Bearer ear"]) is None
    refused = ACCESS.refuse_token("admin", ["Bearer ear"])
    assert refused is not None
    assert refused.status == 403
    without = Access(Origins("127.0.0.1"))  # no tokens, so nobody needs one
    assert [without.refuse_token("admin", shown) for shown in ([], ["a", "b"])] == [None, None]


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("POST", "/", "classify"),
        ("POST", "/models/earmark/commands", "classify"),
        ("POST", "/v1/reload", "admin"),
        ("PATCH", "/v1/sources/desk", "admin"),
        ("PUT", "/anything", "admin"),
        ("DELETE", "/anything", "admin"),
        ("GET", "/v1/events", "subscribe"),
        ("HEAD", "/v1/events", "subscribe"),
        ("GET", "/v1/clips", "clips"),
        ("GET", "/v1/clips/9f2c61d0-311", "clips"),
        ("HEAD", "/v1/clips/9f2c61d0-311", "clips"),
        ("DELETE", "/v1/clips/9f2c61d0-311", "admin"),
        ("DELETE", "/v1/clips", "admin"),
        ("GET", "/v1/classifiers", None),
        ("GET", "/v1/reload", None),
        ("HEAD", "/info", None),
    ],
)
def test_a_request_asks_for_the_scope_of_what_it_does(method: str, path: str, scope: TokenScope | None) -> None:
    assert scope_of(method, path) == scope


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("127.0.0.1", True),
        ("127.8.9.10", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("::ffff:192.168.1.9", False),
        ("192.168.1.9", False),
        ("fe80::1%eth0", False),
        ("", False),
        ("localhost", False),
    ],
)
def test_only_loopback_addresses_are_this_machine(address: str, local: bool) -> None:
    assert is_local(address) is local


LOCAL = "127.0.0.1"
OPEN = Access(Origins("0.0.0.0", ["kiosk.local"], ["https://dashboard.example", "null"]))


def test_without_tokens_this_machine_may_change_the_daemon_through_a_page_of_its_own_or_none() -> None:
    assert OPEN.refuse_remote("admin", LOCAL, ["localhost:8765"], []) is None
    assert OPEN.refuse_remote("admin", "::1", ["[::1]:8765"], ["http://[::1]:8765"]) is None
    assert OPEN.refuse_remote("admin", LOCAL, ["kiosk.local"], [], authority="127.0.0.1:8765") is None


@pytest.mark.parametrize(
    ("address", "hosts", "origins", "told"),
    [
        ("192.168.1.9", ["localhost"], [], "192.168.1.9 is another machine"),
        (LOCAL, ["kiosk.local"], [], "Host: 'kiosk.local' is not a name of this daemon"),
        (LOCAL, ["192.168.1.2:8765"], [], "Host: '192.168.1.2' is not a name of this daemon"),
        (LOCAL, [], [], "Host: the header is missing"),
        (LOCAL, ["localhost"], ["https://dashboard.example"], "Origin: pages of 'https://dashboard.example' may not"),
        (LOCAL, ["localhost"], ["null"], "Origin: pages of 'null' may not connect"),
        (LOCAL, ["localhost:8765"], ["http://localhost:9000"], "Origin: pages of 'http://localhost:9000' may not"),
    ],
)
def test_without_tokens_nobody_else_may_though_they_may_look(
    address: str, hosts: list[str], origins: list[str], told: str
) -> None:
    refused = OPEN.refuse_remote("admin", address, hosts, origins)
    assert refused is not None
    assert (refused.status, refused.error.startswith(told)) == (403, True), refused.error
    assert refused.error.endswith(
        "without tokens only this machine may change the daemon; `earmark token new` makes one"
    )


def test_without_tokens_only_this_machine_may_hear_clips_and_everybody_may_look() -> None:
    assert OPEN.refuse_remote("clips", LOCAL, ["localhost:8765"], []) is None
    refused = OPEN.refuse_remote("clips", "192.168.1.9", ["localhost"], [])
    assert refused is not None
    assert "without tokens only this machine may hear or list clips" in refused.error
    assert OPEN.refuse_remote("subscribe", "192.168.1.9", ["localhost"], []) is None
    assert OPEN.refuse_remote(None, "192.168.1.9", ["localhost"], []) is None


def test_with_tokens_they_alone_say_who_may_change_the_daemon() -> None:
    assert ACCESS.refuse_remote("admin", "192.168.1.9", ["kiosk.local"], ["https://dashboard.example"]) is None


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
