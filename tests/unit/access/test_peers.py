"""Tests of the client's address behind proxies."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.access.peers import MAX_HOPS, client_of, is_named, network

PROXIES = [network("127.0.0.1"), network("10.0.0.0/8"), network("fd00::/8")]
CLIENT = "203.0.113.9"


def test_a_peer_that_is_no_named_proxy_is_the_client_whatever_it_writes() -> None:
    assert client_of(CLIENT, ["127.0.0.1"], PROXIES) == CLIENT
    assert client_of("127.0.0.1", [CLIENT], []) == "127.0.0.1"
    assert client_of("", [CLIENT], PROXIES) == ""


def test_the_last_hop_that_is_no_named_proxy_is_the_client() -> None:
    assert client_of("127.0.0.1", [CLIENT], PROXIES) == CLIENT
    assert client_of("127.0.0.1", [f"{CLIENT}, 10.1.2.3"], PROXIES) == CLIENT
    assert client_of("127.0.0.1", [f"198.51.100.1, {CLIENT}"], PROXIES) == CLIENT


def test_a_proxy_that_adds_a_header_of_its_own_is_believed_before_the_client() -> None:
    assert client_of("127.0.0.1", ["198.51.100.1", CLIENT], PROXIES) == CLIENT


def test_a_request_of_the_proxies_alone_comes_from_the_first_of_them() -> None:
    assert client_of("127.0.0.1", ["10.0.0.1,10.0.0.2"], PROXIES) == "10.0.0.1"
    assert client_of("127.0.0.1", [], PROXIES) == "127.0.0.1"


@pytest.mark.parametrize("nonsense", ["", "unknown", "_hidden", "1.2.3", "1.2.3.4.5", "a b", "[::1", "1.2.3.4:x"])
def test_nothing_is_believed_behind_what_is_no_address(nonsense: str) -> None:
    assert client_of("127.0.0.1", [f"{CLIENT}, {nonsense}"], PROXIES) == "127.0.0.1"
    assert client_of("127.0.0.1", [f"{CLIENT}, {nonsense}, 10.0.0.1"], PROXIES) == "10.0.0.1"


@pytest.mark.parametrize(
    ("hop", "address"),
    [
        ("203.0.113.9:4711", CLIENT),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("2001:DB8::1", "2001:db8::1"),
        ("::ffff:203.0.113.9", CLIENT),
        ("fe80::1%eth0", "fe80::1"),
        ("  203.0.113.9\t", CLIENT),
    ],
)
def test_an_address_is_read_in_each_form_that_proxies_write(hop: str, address: str) -> None:
    assert client_of("127.0.0.1", [hop], PROXIES) == address


def test_a_named_proxy_is_known_by_each_form_of_its_address() -> None:
    assert is_named("::ffff:10.0.0.1", PROXIES)
    assert is_named("fd00::1", PROXIES)
    assert not is_named("11.0.0.1", PROXIES)
    assert not is_named("a local socket", PROXIES)
    assert network("10.1.2.3/8") == network("10.0.0.0/8")


def test_only_the_last_hops_are_looked_at() -> None:
    assert client_of("127.0.0.1", [", ".join([CLIENT] + ["10.0.0.1"] * (MAX_HOPS - 1))], PROXIES) == CLIENT
    assert client_of("127.0.0.1", [", ".join([CLIENT] + ["10.0.0.1"] * MAX_HOPS)], PROXIES) == "10.0.0.1"


@given(st.lists(st.text(max_size=40), max_size=8))
def test_what_a_stranger_writes_changes_nothing(lines: list[str]) -> None:
    assert client_of(CLIENT, lines, PROXIES) == CLIENT


@given(st.lists(st.text(max_size=40), max_size=8))
def test_what_a_client_writes_before_a_named_proxy_changes_nothing(lines: list[str]) -> None:
    assert client_of("127.0.0.1", [*lines, CLIENT], PROXIES) == CLIENT
