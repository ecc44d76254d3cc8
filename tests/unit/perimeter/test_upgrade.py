"""Tests of the head of a handshake."""

from __future__ import annotations

from earmark.perimeter.upgrade import needed, values

HEAD = b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1\r\nCookie: x\r\nx-forwarded-for:  2.2.2.2 \r\n\r\n"


def test_all_headers_of_a_name_are_found_in_their_order() -> None:
    assert values(HEAD, "x-forwarded-for") == ["1.1.1.1", "2.2.2.2"]
    assert values(HEAD, "x-forwarded") == []


def test_a_handshake_keeps_what_proxies_tell_and_loses_cookies() -> None:
    assert values(needed(HEAD), "x-forwarded-for") == ["1.1.1.1", "2.2.2.2"]
    assert values(needed(HEAD), "cookie") == []
