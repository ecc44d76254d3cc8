"""A real daemon that is seen, changed and reloaded while it runs, by programs and by the commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.daemon import Daemon, environment
from tests.posting import DEADLINE, Client, Reply

SILENCE = "import sys,time\nwhile True: sys.stdout.buffer.write(bytes(3200)); sys.stdout.flush(); time.sleep(0.1)"
SETTINGS = f"""
[server]
token_file = "tokens"
[worker]
threads = 1
device = "cpu"
[[source]]
name = "room"
kind = "command"
argv = {json.dumps([sys.executable, "-c", SILENCE])}
[[classifier]]
name = "commands"
[classifier.decide]
on = ON
"""


class Steered:
    """A daemon with a file of tokens, and the token that may change it."""

    def __init__(self, daemon: Daemon, folder: Path, token: str) -> None:
        self.daemon = daemon
        self.client = Client(daemon.address)
        self.config = folder / "earmark.toml"
        self.token = token

    def ask(self, method: str, path: str, content: object = None, token: str | None = None) -> Reply:
        body = b"" if content is None else json.dumps(content).encode()
        shown = {"authorization": f"Bearer {token or self.token}", "content-type": "application/json"}
        return self.client.ask(method, path, body, shown)

    def earmark(self, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
        """Run a command with the address and the token of this daemon in the environment."""
        variables = {"EARMARK_URL": self.daemon.address, "EARMARK_TOKEN": self.token, **extra}
        command = [sys.executable, "-m", "earmark_client", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, env=environment(variables))


@pytest.fixture(scope="module")
def steered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Steered]:
    folder: Path = tmp_path_factory.mktemp("steered")
    config = folder / "earmark.toml"
    config.write_text(SETTINGS.replace("ON", "0.8"))
    made = [sys.executable, "-m", "earmark_client", "token", "new", "boss", "--config", str(config)]
    scopes = ["--scope", "subscribe,classify,admin"]
    done = subprocess.run([*made, *scopes], capture_output=True, text=True, check=True, env=environment())
    token = done.stdout.strip()
    with Daemon("--config", str(config), extra={"STATE_DIRECTORY": str(folder)}) as daemon:
        steered = Steered(daemon, folder, token)
        daemon.until(lambda event: event["type"] == "source" and event["state"] in ("listening", "quiet", "muted"))
        yield steered


def test_what_is_in_force_is_shown_without_the_arguments_of_programs(steered: Steered) -> None:
    (source,) = steered.ask("GET", "/v1/sources").json
    assert (source["name"], source["paused"], source["settings"]["kind"]) == ("room", False, "command")
    assert "argv" not in source["settings"]
    (classifier,) = steered.ask("GET", "/v1/classifiers").json
    assert classifier["thresholds"]["stop"] == classifier["decide"]["on"] == 0.8
    assert classifier["vad"]["hangover_ms"] == 128  # the default of the mode, which the settings leave out


def test_a_threshold_is_changed_told_to_subscribers_and_kept_until_a_reload(steered: Steered) -> None:
    done = steered.earmark("set", "commands", "decide.on=0.7", "decide.labels.stop=0.9")
    assert (done.returncode, "[classifier.decide]\non = 0.7\n" in done.stdout) == (0, True), done.stderr
    steered.daemon.until(lambda event: event["type"] == "config" and event["cause"] == "api")
    shown = steered.ask("GET", "/v1/classifiers/commands").json
    assert (shown["thresholds"]["stop"], shown["thresholds"]["go"]) == (0.9, 0.7)
    answer = steered.ask("POST", "/v1/reload").json
    assert {"key": "classifier[commands].decide.on", "before": 0.7, "after": 0.8} in answer["changed"]
    assert steered.ask("GET", "/v1/classifiers/commands").json["thresholds"]["stop"] == 0.8


@pytest.mark.parametrize(
    ("path", "content", "status", "told"),
    [
        ("/v1/classifiers/commands", {"decide": {"on": 2}}, 400, "decide.on"),
        ("/v1/classifiers/commands", {"decide": {"onn": 0.5}}, 400, "decide.onn"),
        ("/v1/classifiers/commands", {"vad": {"hangover_ms": "long"}}, 400, "vad.hangover_ms"),
        ("/v1/classifiers/commands", {"decide": {"labels": {"stopp": 0.5}}}, 400, "stopp"),
        ("/v1/classifiers/comands", {}, 404, "did you mean commands?"),
    ],
)
def test_a_wrong_change_names_the_field_and_changes_nothing(
    steered: Steered, path: str, content: object, status: int, told: str
) -> None:
    before = steered.ask("GET", "/v1/classifiers").json
    reply = steered.ask("PATCH", path, content)
    assert (reply.status, told in reply.error) == (status, True), reply.error
    assert steered.ask("GET", "/v1/classifiers").json == before


def test_a_source_is_paused_and_goes_on(steered: Steered) -> None:
    assert steered.earmark("pause", "room").stdout == "room: paused\n"
    steered.daemon.until(lambda event: event["type"] == "source" and event["state"] == "paused")
    shown: Any = steered.ask("GET", "/v1/sources/room").json
    assert (shown["state"], shown["paused"]) == ("paused", True)
    assert steered.earmark("resume", "room").stdout == "room: no longer paused\n"
    steered.daemon.until(lambda event: event["type"] == "source" and event["state"] != "paused")
    assert steered.ask("GET", "/v1/sources/room").json["paused"] is False


def test_a_configuration_that_is_wrong_changes_nothing_and_is_told_with_its_line(steered: Steered) -> None:
    right = steered.config.read_text()
    steered.config.write_text(right.replace("on = 0.8", "on = 8"))
    try:
        done = steered.earmark("reload")
        assert (done.returncode, "decide.on" in done.stderr, "earmark.toml" in done.stderr) == (1, True, True)
    finally:
        steered.config.write_text(right)
    assert steered.ask("GET", "/v1/classifiers/commands").json["decide"]["on"] == 0.8


def test_who_may_delete_clips_may_not_hear_them_unless_the_token_says_so(steered: Steered) -> None:
    refused = steered.ask("GET", "/v1/clips")
    assert (refused.status, refused.error) == (403, "This token does not allow `clips`")
    assert steered.ask("GET", "/v1/clips/9f2c61d0-311").status == 403
    deleted = steered.ask("DELETE", "/v1/clips")
    assert (deleted.status, deleted.json) == (200, {"deleted": 0})
    steered.daemon.logged('token "boss" at 127.0.0.1 deleted 0 clips')


def test_a_token_works_from_one_reload_on_until_another(steered: Steered) -> None:
    where = ("--config", str(steered.config))
    text = steered.earmark("token", "new", "page", *where).stdout.strip()
    assert steered.ask("GET", "/v1/sources", token=text).status == 401
    assert "token[page]: null -> " in steered.earmark("reload").stdout
    assert steered.ask("GET", "/v1/sources", token=text).status == 200
    assert steered.ask("PATCH", "/v1/sources/room", {"paused": True}, token=text).status == 403
    assert steered.client.post(b"", authorization=f"Bearer {text}").status == 403  # it may not classify
    assert steered.ask("GET", "/v1/clips", token=text).status == 403
    assert steered.earmark("token", "revoke", "page", *where).returncode == 0
    assert steered.earmark("reload").returncode == 0
    assert steered.ask("GET", "/v1/sources", token=text).status == 401
    steered.daemon.logged('token "boss" at 127.0.0.1 changed token[page] from "subscribe" to null')
    log = "\n".join(steered.daemon.log)
    assert 'token "boss" at 127.0.0.1 changed token[page] from null to "subscribe"' in log
    assert 'token "page" at 127.0.0.1 was refused PATCH /v1/sources/room: This token does not allow `admin`' in log
    assert text not in log
    assert steered.token not in log


def test_a_reload_that_is_refused_is_told_until_one_is_not(steered: Steered) -> None:
    before, text = steered.ask("GET", "/info").json["reloads"], steered.config.read_text()
    steered.config.write_text(text.replace("0.8", "80"))
    assert steered.ask("POST", "/v1/reload").status == 400
    refused = steered.ask("GET", "/info").json["reloads"]
    steered.config.write_text(text)
    assert steered.ask("POST", "/v1/reload").status == 200
    told = steered.ask("GET", "/info").json["reloads"]
    assert refused == {"applied": before["applied"], "refused": before["refused"] + 1, "in_force": False}
    assert told == {"applied": before["applied"] + 1, "refused": before["refused"] + 1, "in_force": True}


def test_a_configuration_out_of_a_pipe_is_not_read_again(steered: Steered) -> None:
    text = steered.config.read_text()
    steered.config.unlink()
    os.mkfifo(steered.config)
    try:
        reply = steered.ask("POST", "/v1/reload", {})
        assert (reply.status, "is no file that can be read again" in reply.json["error"]) == (400, True)
    finally:
        steered.config.unlink()
        steered.config.write_text(text)
    assert steered.ask("POST", "/v1/reload", {}).status == 200
