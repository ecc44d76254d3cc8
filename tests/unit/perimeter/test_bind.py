from __future__ import annotations

import socket

import msgspec
import pytest

from earmark.config.settings import Server
from earmark.errors import ConfigError, ServerError
from earmark.perimeter.bind import address, place


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("127.0.0.1:8765", ("127.0.0.1", 8765)),
        ("[::1]:0", ("::1", 0)),
        (":80", ("", 80)),
        ("earmark:1", ("earmark", 1)),
    ],
)
def test_an_address_is_a_host_and_a_port(text: str, found: tuple[str, int]) -> None:
    assert address(text) == found


@pytest.mark.parametrize("text", ["", "8765", "127.0.0.1", "::1:80", "a:65536", "a:-1", "a:8o", "a:٣"])
def test_what_is_no_address_is_told(text: str) -> None:
    with pytest.raises(ConfigError, match="is not HOST:PORT, for example 127"):
        address(text)


@pytest.mark.parametrize("listen", ["127.0.0.1:8765", "[::1]:8765"])
def test_the_loopback_address_is_safe(listen: str) -> None:
    assert place(Server(listen=listen))[1][1] == 8765


@pytest.mark.parametrize("listen", ["0.0.0.0:8765", "192.0.2.1:8765", "[::]:8765"])
def test_an_address_that_others_reach_wants_a_token_and_tls_or_the_word_insecure(listen: str) -> None:
    open_to_all, tls = Server(listen=listen), Server(listen=listen, certificate_file="own.pem", key_file="own.key")
    for refused in (open_to_all, tls):
        with pytest.raises(ServerError, match="everybody there could listen along"):
            place(refused)
    with pytest.raises(ServerError, match="is not encrypted"):
        place(Server(listen=listen, token_file="/etc/tokens"))
    for allowed in (Server(listen=listen, insecure=True), msgspec.structs.replace(tls, token_file="/etc/tokens")):
        family, where = place(allowed)
        assert family in (socket.AF_INET, socket.AF_INET6)
        assert where[1] == 8765


@pytest.mark.parametrize("host", ["a" * 64, "a..b", "ü" * 64])
def test_a_host_that_cannot_be_a_name_is_told(host: str) -> None:
    with pytest.raises(ServerError) as caught:
        place(Server(listen=f"{host}:1"))
    assert str(caught.value) == f"server.listen: {host!r} is not the name of a host"
