from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from earmark.config.brokers import Mqtt
from earmark.errors import ConfigError
from earmark.publish.login import login


def refusal(settings: Mqtt, installed: bool = True) -> str:
    with pytest.raises(ConfigError) as caught:
        login(settings, "publish[0]", installed=lambda: installed)
    return str(caught.value)


def read(**settings: Any) -> Any:
    return login(Mqtt(**settings), "publish[0]", installed=lambda: True)


def test_ports_and_names_follow_from_what_is_set() -> None:
    assert (read().address, read(tls=True).address) == ("127.0.0.1:1883", "127.0.0.1:8883")
    assert read(host="::1", port=1).address == "[::1]:1"
    assert (read(node="home").client_id, read(node="home", client_id="x").client_id) == ("earmark-home", "x")


def test_without_the_extra_it_is_named() -> None:
    assert refusal(Mqtt(), installed=False) == (
        "publish[0].kind: mqtt needs aiomqtt, which is not installed: pip install 'earmark[mqtt]'"
    )


def test_the_password_is_the_first_line_of_a_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("secret word\r\nmore\n")
    file.chmod(0o644)
    settings = Mqtt(username="earmark", password_file=str(file))
    assert refusal(settings) == f"publish[0].password_file: others may read or change {file}; run: chmod 600 {file}"
    file.chmod(0o600)
    assert login(settings, "publish[0]", installed=lambda: True).password == "secret word"
    file.write_text("\n")
    assert refusal(settings) == f"publish[0].password_file: the first line of {file} is empty; it must be the password"
    file.write_bytes(b"\xff\n")
    assert refusal(settings) == f"publish[0].password_file: {file} is not text"
    file.unlink()
    assert refusal(settings) == f"publish[0].password_file: {file} cannot be read: No such file or directory"
    os.mkfifo(file, 0o600)
    assert refusal(settings) == f"publish[0].password_file: {file} cannot be read: it is no regular file"


def test_certificates_that_are_none_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    settings = Mqtt(tls=True, ca=str(file))
    assert refusal(settings) == f"publish[0].ca: {file} cannot be read: No such file or directory"
    file.write_text("none")
    assert refusal(settings) == f"publish[0].ca: {file} holds no certificate in PEM"
    file.unlink()
    os.mkfifo(file)
    assert refusal(settings) == f"publish[0].ca: {file} cannot be read: it is no regular file"
