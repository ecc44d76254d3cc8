from __future__ import annotations

import pytest

from earmark.core.access import Access

LOCAL = Access("127.0.0.1", ["Kiosk.local"], ["https://example.org/"])


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8765", "127.0.0.1", "localhost:1", "LOCALHOST", "localhost.", "[::1]:8765", "kiosk.local:80"]
)
def test_our_own_names_are_answered(host: str) -> None:
    assert LOCAL.refusal(host, None) is None


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:8765", "192.168.1.9", "", "localhost@evil"])
def test_a_foreign_host_is_refused(host: str) -> None:
    assert "Host" in (LOCAL.refusal(host, None) or "")


def test_a_missing_host_is_refused() -> None:
    assert LOCAL.refusal(None, None) is not None


@pytest.mark.parametrize("origin", ["http://127.0.0.1:8765", "https://127.0.0.1:8765", "https://example.org", None])
def test_our_own_pages_and_allowed_ones_may_connect(origin: str | None) -> None:
    assert LOCAL.refusal("127.0.0.1:8765", origin) is None


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "http://127.0.0.1:3000",
        "http://localhost:8765",
        "file://127.0.0.1:8765",
        "",
        "[",
    ],
)
def test_foreign_pages_are_refused(origin: str) -> None:
    assert "Origin" in (LOCAL.refusal("127.0.0.1:8765", origin) or "")


def test_listening_everywhere_answers_to_every_address_but_to_no_foreign_name() -> None:
    everywhere = Access("0.0.0.0")
    assert everywhere.refusal("192.168.1.9:8765", None) is None
    assert everywhere.refusal("[fe80::1]:8765", None) is None
    assert everywhere.refusal("evil.example:8765", None) is not None
