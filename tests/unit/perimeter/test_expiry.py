from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.perimeter.expiry import expiry

UTC_TIME, GENERALIZED_TIME = 0x17, 0x18


def element(tag: int, content: bytes) -> bytes:
    width = b"" if len(content) < 0x80 else len(content).to_bytes(2, "big")
    return bytes([tag, 0x80 | len(width)]) + width + content if width else bytes([tag, len(content)]) + content


def certificate(end: bytes, tag: int = UTC_TIME, version: bytes = element(0xA0, b"\x02\x01\x02")) -> bytes:
    """A certificate in PEM that lacks all that follows its validity."""
    validity = element(0x30, element(UTC_TIME, b"260101000000Z") + element(tag, end))
    issuer = element(0x30, b"x" * 200)
    signed = element(0x30, version + element(0x02, b"\x07") + element(0x30, b"") + issuer + validity)
    text = base64.encodebytes(element(0x30, signed))
    return b"-----BEGIN CERTIFICATE-----\n" + text + b"-----END CERTIFICATE-----\n"


def at(time: str) -> float:
    return datetime.fromisoformat(time).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("end", "tag", "expected"),
    [
        (b"261224183005Z", UTC_TIME, at("2026-12-24T18:30:05")),
        (b"491231235959Z", UTC_TIME, at("2049-12-31T23:59:59")),
        (b"500101000000Z", UTC_TIME, at("1950-01-01")),
        (b"20500101000000Z", GENERALIZED_TIME, at("2050-01-01")),
        (b"99991231235959Z", GENERALIZED_TIME, at("9999-12-31T23:59:59")),
    ],
)
def test_the_end_of_a_certificate_is_read_as_it_is_written(end: bytes, tag: int, expected: float) -> None:
    assert expiry(certificate(end, tag)) == expected
    assert expiry(certificate(end, tag, version=b"")) == expected


def test_of_a_chain_the_certificate_counts_that_expires_first() -> None:
    chain = certificate(b"280101000000Z") + b"a comment\n" + certificate(b"270101000000Z")
    assert expiry(chain) == at("2027-01-01")


def test_what_is_no_certificate_expires_at_no_time() -> None:
    assert expiry(b"") is None
    assert expiry(certificate(b"2613")) is None
    assert expiry(certificate(b"261224183005Z", tag=0x04)) is None
    assert expiry(certificate(b"261224183005Z").replace(b"M", b"A")) is None


@given(st.binary(max_size=60))
def test_nothing_that_stands_in_a_file_is_an_error(der: bytes) -> None:
    text = b"-----BEGIN CERTIFICATE-----" + base64.b64encode(der) + b"-----END CERTIFICATE-----"
    assert expiry(text) is None
