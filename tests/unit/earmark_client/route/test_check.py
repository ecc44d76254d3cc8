from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from earmark_client.route.check import absent, doubtful, read_secrets, strangers
from earmark_client.routing.settings import Filter, Mqtt, Routes
from tests.routes import route
from tests.serving import hello


def of(**settings: Any) -> Routes:
    return Routes(route=(route(**settings),))


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"label": "stopp"}, 'label: the daemon has no label "stopp"; did you mean stop?'),
        ({"after": ("stop", "gow")}, 'after: the daemon has no label "gow"; did you mean go?'),
        ({"source": "dsek"}, 'source: the daemon has no source "dsek"; did you mean desk?'),
        ({"classifier": "comands"}, 'classifier: the daemon has no classifier "comands"; did you mean commands?'),
        ({"only": Filter(label="lft")}, 'only.label: the daemon has no label "lft"; did you mean left?'),
        ({"except_": Filter(source="disk")}, 'except.source: the daemon has no source "disk"; did you mean desk?'),
    ],
)
def test_a_name_that_the_daemon_does_not_know_is_told_with_the_nearest_one(settings: dict[str, Any], told: str) -> None:
    assert list(strangers(of(**settings), hello("e", 1))) == [f"route[0].{told}"]


def test_names_that_the_daemon_knows_are_not_told() -> None:
    assert list(strangers(of(label=("stop", "happy"), source="desk", after="go"), hello("e", 1))) == []


def test_a_program_that_is_not_there_or_not_executable_is_told(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\n")
    assert list(absent(of(run=("no-such-program",)))) == ["route[0].run: no-such-program: there is no such program"]
    assert list(absent(of(run=(str(script),)))) == [
        f"route[0].run: {script}: the file is not executable; run: chmod +x {script}"
    ]
    script.chmod(0o755)
    assert list(absent(of(run=(str(script),)))) == []


def test_a_secret_is_read_only_from_a_file_of_its_owner_alone(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    routes = of(run=None, webhook="https://h/", secret_file=str(secret))
    assert read_secrets(routes) == ({}, [f"route[0].secret_file: {secret}: cannot be read: No such file or directory"])
    secret.write_text("s3cret\nnot this\n")
    secret.chmod(0o640)
    assert read_secrets(routes)[1] == [
        f"route[0].secret_file: {secret}: others can read it (mode 0640); run: chmod 600 {secret}"
    ]
    secret.chmod(0o600)
    assert read_secrets(routes) == ({str(secret): "s3cret"}, [])
    secret.write_text("\n")
    assert read_secrets(routes)[1] == [f"route[0].secret_file: {secret}: its first line is empty"]
    secret.write_text("whsec_???")
    assert read_secrets(routes)[1] == ["route[0].secret_file: what follows whsec_ in the secret is not base64"]


def test_what_goes_over_the_network_without_encryption_is_warned_of() -> None:
    assert list(doubtful(of(run=None, webhook="http://192.168.1.7/x"))) == [
        "route[0].webhook: http is not encrypted, so others on the network can read and change it"
    ]
    plain = Mqtt(host="h", topic="t", username="u", password_file="p")
    assert list(doubtful(of(run=None, mqtt=plain))) == [
        "route[0].mqtt: without tls = true, the password goes over the network as it is"
    ]
    assert list(doubtful(of(run=None, webhook="http://localhost/x"))) == []
