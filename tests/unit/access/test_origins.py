from __future__ import annotations

import pytest

from earmark.access.origins import Origins, host_name

LOCAL = Origins("127.0.0.1", ["Kiosk.local"], ["https://Example.org/"])
KIOSK = Origins("kiosk")  # a name to listen on, so that nothing of the loopback comes from there


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:8765",
        "127.0.0.1",
        "localhost:1",
        "LOCALHOST",
        "localhost.",
        " localhost:8765 ",
        "[::1]:8765",
        "[::1]",
        "kiosk.local:80",
        "KIOSK.LOCAL.",
    ],
)
def test_our_own_names_are_answered(host: str) -> None:
    assert LOCAL.refusal(host, None) is None


@pytest.mark.parametrize("host", ["127.0.0.1:8765", "localhost", "[::1]:8765", "kiosk:8765", "Kiosk."])
def test_the_loopback_and_the_address_listened_on_are_always_ours(host: str) -> None:
    assert KIOSK.refusal(host, None) is None


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example:8765", "192.168.1.9", "", "localhost@evil", "localhostX", "[::2]:8765"],
)
def test_a_foreign_host_is_refused(host: str) -> None:
    assert "Host" in (LOCAL.refusal(host, None) or "")


def test_a_refusal_names_the_host_without_its_port_and_the_setting_that_would_add_it() -> None:
    sentence = "Host: 'evil.example' is not a name of this daemon; server.allow_hosts can add it"
    assert LOCAL.refusal("Evil.example.:8765", None) == sentence


def test_a_refusal_names_the_origin_and_the_setting_that_would_add_it() -> None:
    sentence = "Origin: pages of 'https://evil.example' may not connect; server.allow_origins can add it"
    assert LOCAL.refusal("localhost", "https://evil.example") == sentence


def test_a_refusal_repeats_a_hundred_characters_at_most() -> None:
    assert f"Host: '{'x' * 100}' is not" in (LOCAL.refusal("x" * 101, None) or "")
    assert f"Origin: pages of '{'x' * 100}' may" in (LOCAL.refusal("localhost", "x" * 101) or "")


@pytest.mark.parametrize(
    "host",
    [
        *("[::1]evil.com", "[::1", "::1", "[::1]:80:80", "[localhost]", "localhost:80:80", "localhost:x", "localhost/"),
        *("user@localhost", "localhost ,evil", "localhost?", "localhost#", "[]", ":8765", ""),
    ],
)
def test_a_host_of_another_form_is_refused_whatever_its_name(host: str) -> None:
    assert LOCAL.refusal(host, None) == f"Host: {host!r} is neither HOST nor HOST:PORT"


@pytest.mark.parametrize("host", ["localhost:", "[::1]:", "[::1]:8765", "localhost:65535"])
def test_a_port_may_be_there_or_not(host: str) -> None:
    assert LOCAL.refusal(host, None) is None


def test_a_zone_belongs_to_an_address_and_not_to_a_name() -> None:
    assert Origins("::").refusal("[fe80::1%eth0]:8765", None) is None


def test_a_missing_host_is_refused() -> None:
    assert LOCAL.refusal(None, None) == "Host: the header is missing"


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("kiosk", "kiosk"),
        (" Kiosk.Local.:8765 ", "kiosk.local"),
        ("kiosk...", "kiosk"),
        ("127.0.0.1:80", "127.0.0.1"),
        ("[FE80::1]:80", "fe80::1"),
        ("[::1", "::1"),
        ("::1", "::1"),
        ("kiosk:", "kiosk"),
        (":8765", ""),
        ("", ""),
    ],
)
def test_a_name_is_without_port_brackets_and_trailing_dots_in_lower_case(host: str, name: str) -> None:
    assert host_name(host) == name


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1:8765", "http://127.0.0.1:8765"),
        ("127.0.0.1:8765", "https://127.0.0.1:8765"),
        ("127.0.0.1:8765", None),
        ("LOCALHOST:8765", "HTTP://LocalHost:8765"),
        (" localhost:8765 ", "http://localhost:8765"),
        ("[::1]:8765", "http://[::1]:8765"),
        ("127.0.0.1:8765", "https://example.org"),
        ("127.0.0.1:8765", "HTTPS://EXAMPLE.org"),
    ],
)
def test_our_own_pages_and_allowed_ones_may_connect(host: str, origin: str | None) -> None:
    assert LOCAL.refusal(host, origin) is None


def test_an_allowed_origin_is_taken_as_it_is_written_but_for_case_and_a_final_slash() -> None:
    allowing = Origins("127.0.0.1", allow_origins=["http://Page.example:3000//", "http://max.example/X"])
    assert allowing.refusal("localhost", "http://page.example:3000") is None
    assert allowing.refusal("localhost", "http://max.example/x") is None
    assert allowing.refusal("localhost", "http://page.example") is not None


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "http://127.0.0.1:3000",
        "http://localhost:8765",
        "http://127.0.0.1",
        "file://127.0.0.1:8765",
        "127.0.0.1:8765",
        "https://example.org.evil.example",
        "",
        "[",
        "http://[",  # urlsplit raises
        "http://[127.0.0.1:8765",
    ],
)
def test_foreign_pages_are_refused(origin: str) -> None:
    assert "Origin" in (LOCAL.refusal("127.0.0.1:8765", origin) or "")


@pytest.mark.parametrize("listen", ["", "0.0.0.0", "::"])  # "" is what `listen = ":8765"` comes to
def test_listening_everywhere_answers_to_every_address_but_to_no_foreign_name(listen: str) -> None:
    everywhere = Origins(listen)
    for host in ("192.168.1.9:8765", "[fe80::1]:8765", "10.0.0.1", "localhost:8765"):
        assert everywhere.refusal(host, None) is None
        assert everywhere.refusal(host, f"http://{host}") is None
    for host in ("evil.example:8765", "192.168.1.9.evil.example", "192.168.1", "999.1.1.1"):
        assert everywhere.refusal(host, None) is not None


@pytest.mark.parametrize("listen", ["127.0.0.1", "localhost", "192.168.1.1", "::1", "0.0.0.1", "::2"])
def test_listening_on_one_address_does_not_answer_to_another(listen: str) -> None:
    for host in ("192.168.1.9:8765", "[fe80::1]:8765"):
        assert Origins(listen).refusal(host, None) is not None
