from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from earmark.config.brokers import Nats
from earmark.errors import ConfigError
from earmark.jetstream.login import NatsLogin, nats_login


def read(**settings: Any) -> NatsLogin:
    return nats_login(Nats(**settings), "publish[0]", installed=lambda: True)


def test_servers_get_their_scheme_and_their_port() -> None:
    servers = ("kitchen", "kitchen:1", "nats://[::1]", "tls://a:2")
    assert read(servers=servers).servers == (
        "nats://kitchen:4222",
        "nats://kitchen:1",
        "nats://[::1]:4222",
        "tls://a:2",
    )
    assert read(servers=servers[:2]).address == "kitchen:4222, kitchen:1"


def test_certificates_are_checked_where_the_settings_or_a_server_say_tls() -> None:
    assert (read().tls, read(tls=True).tls is None, read(servers=("tls://a",)).tls is None) == (None, False, False)


def test_secrets_come_from_files_that_only_their_owner_may_read(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("s3cret\n")
    os.chmod(file, 0o600)
    login = read(username="ada", password_file=str(file))
    assert (login.username, login.secret, login.password, "s3cret" in repr(login)) == ("ada", "s3cret", "s3cret", False)
    assert read(token_file=str(file)).token == "s3cret"
    assert read(credentials_file=str(file)).credentials == "s3cret\n"
    os.chmod(file, 0o644)
    with pytest.raises(ConfigError, match=r"^publish\[0\].token_file: others may read or change .*; run: chmod 600"):
        read(token_file=str(file))


def test_without_the_extra_it_is_named() -> None:
    with pytest.raises(ConfigError, match=r"nats-py, which is not installed: pip install 'earmark\[nats\]'"):
        nats_login(Nats(), "publish[0]", installed=lambda: False)
