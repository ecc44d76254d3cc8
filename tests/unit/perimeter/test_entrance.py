"""Tests of who comes, and whether he is let in."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from earmark.access.access import Access
from earmark.access.origins import Origins
from earmark.access.peers import network
from earmark.perimeter.entrance import FORWARDED, Client, Entrance, Values

CLIENT = "203.0.113.9"


def entrance(*proxies: str) -> Entrance:
    hosts = Origins("127.0.0.1", ["example.org"])
    return Entrance(Access(hosts, proxies=tuple(map(network, proxies)), prefix="/earmark"))


def headers(**fields: str | Sequence[str]) -> Values:
    given = {name.replace("_", "-"): [text] if isinstance(text, str) else text for name, text in fields.items()}
    return lambda name: given.get(name, [])


def test_the_headers_of_a_named_proxy_tell_who_asked_for_what() -> None:
    asked = headers(x_forwarded_for=CLIENT, x_forwarded_host="Example.org", x_forwarded_proto="https")
    assert entrance("127.0.0.1").client("127.0.0.1", asked) == Client(CLIENT, True, "example.org", "https")
    assert entrance("10.0.0.0/8").client("10.9.9.9", headers()) == Client("10.9.9.9", False)


def test_the_same_headers_of_anybody_else_are_ignored() -> None:
    asked = headers(x_forwarded_for="127.0.0.1", x_forwarded_host="example.org", x_forwarded_proto="https")
    assert entrance("10.0.0.1").client(CLIENT, asked) == Client(CLIENT, True)
    assert entrance().client("127.0.0.1", asked) == Client("127.0.0.1", True)


def test_of_several_hosts_the_nearest_proxy_wrote_the_last_and_another_scheme_is_none() -> None:
    asked = headers(x_forwarded_host=["evil.example", "a.example, example.org"], x_forwarded_proto="javascript")
    assert entrance("127.0.0.1").client("127.0.0.1", asked) == Client("127.0.0.1", True, "example.org")


@pytest.mark.scenario(17)
@pytest.mark.parametrize("name", FORWARDED)
def test_who_comes_through_a_proxy_is_not_taken_for_this_machine_though_its_headers_say_so(name: str) -> None:
    forged = headers(**{name: "127.0.0.1"})
    for each in (entrance(), entrance("127.0.0.1")):
        client = each.client("127.0.0.1", forged)
        refused = each.refuse_remote(client, "admin", ["127.0.0.1:8765"], [])
        assert refused is not None
        assert (refused.status, refused.reason) == (403, "remote")
        direct = each.client("127.0.0.1", headers())
        assert each.refuse_remote(direct, "admin", ["127.0.0.1:8765"], []) is None


@pytest.mark.scenario(17)
def test_the_host_of_a_proxys_request_and_that_of_its_client_must_both_be_known() -> None:
    behind = entrance("127.0.0.1")
    proxied = behind.client("127.0.0.1", headers(x_forwarded_host="example.org"))
    page, own = "https://example.org", ["127.0.0.1:8765"]
    assert behind.refuse_origin(proxied, own, [page]) is None
    foreign = behind.refuse_origin(proxied, own, ["https://evil.example"])
    assert foreign is not None
    assert foreign.reason == "origin"
    rebound = behind.refuse_origin(proxied, ["evil.example"], [page])  # a page wrote the header itself
    unknown = behind.client("127.0.0.1", headers(x_forwarded_host="evil.example"))
    for refused in (rebound, behind.refuse_origin(unknown, own, [])):
        assert refused is not None
        assert refused.reason == "host"


def test_a_path_is_found_with_the_prefix_and_without_it() -> None:
    access = entrance().access
    paths = ["/earmark", "/earmark/", "/earmark/v1/events", "/v1/events", "/earmarks/info", "/"]
    assert [access.own_path(path) for path in paths] == ["/", "/", "/v1/events", "/v1/events", "/earmarks/info", "/"]
    assert Access(Origins("127.0.0.1")).own_path("/earmark") == "/earmark"
