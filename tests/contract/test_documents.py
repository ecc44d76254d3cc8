"""What the documents show works as printed: every block of code in README.md, docs/*.md, systemd/ and deploy/."""

from __future__ import annotations

import ast
import asyncio
import itertools
import json
import logging
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import pytest
import soundfile
import yaml  # type: ignore[import-untyped]  # a dependency of huggingface-hub

import earmark.__main__
import earmark_client.__main__
from earmark import log
from earmark.api.request import ClipRequest
from earmark.capture.intake import Intake
from earmark.capture.network import Network
from earmark.config import sources as config
from earmark.config.file import parse
from earmark.control.fields import CLASSIFIER_FIELDS, check_classifier, check_source
from earmark.control.steering import Change
from earmark.description.openapi import Liveness
from earmark.protocol.endpoints import ANALYZE, AUDIO, EVENTS
from earmark.protocol.events import Progress, decode, encode
from earmark.protocol.readiness import PURPOSES, Need, answer
from earmark.uplink.endpoint import audio_endpoint
from earmark_client.routing.file import parse as parse_routes
from tests.daemon import environment
from tests.posting import DEADLINE, Client, encoded, word
from tests.serving import Serving, serve
from tests.signals import noise

ROOT = Path(__file__).parents[2]
BESIDE = (ROOT / "systemd" / "README.md", ROOT / "deploy" / "README.md")
DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *BESIDE)
MODELS = ROOT / "daemon" / "earmark" / "models"
ADDRESS = "127.0.0.1:8765"
KINDS = {"", "console", "sh", "python", "js", "json", "toml", "yaml"}
PARSERS = {"earmark": earmark_client.__main__.parser, "earmarkd": earmark.__main__.parser}
OTHER_COMMANDS = {
    "ls",
    "cat",
    "curl",
    "make",
    "mkdir",
    "pip",
    "python3",
    "install",
    "openssl",
    "systemctl",
    "sqlite3",
    "tar",
    "scp",
    "rm",
    "systemd-sysusers",
    "systemd-tmpfiles",
    "loginctl",
    "journalctl",
    "mosquitto_sub",
    "chown",
    "export",
    "arecord",
    "apt",
    "git",
    "docker",
    "kubectl",
    "debootstrap",
    "buildah",
    "try-image.sh",
}


LONG_WAV = 8000  # samples of talk.wav


@dataclass(frozen=True)
class Block:
    where: str
    kind: str
    text: str


def blocks(document: Path) -> Iterator[Block]:
    """The blocks between two lines of three backticks, with their languages."""
    for found in re.finditer(r"^```(\w*)\n(.*?)^```$", document.read_text(), re.MULTILINE | re.DOTALL):
        line = document.read_text()[: found.start()].count("\n") + 1
        yield Block(f"{document.name}:{line}", found[1], found[2])


EVERY = [block for document in DOCUMENTS for block in blocks(document)]


def of(*kinds: str) -> pytest.MarkDecorator:
    chosen = [block for block in EVERY if block.kind in kinds]
    return pytest.mark.parametrize("block", chosen, ids=lambda block: block.where)


def objects(text: str) -> Iterator[dict[str, Any]]:
    """The JSON objects in `text`, one after the other."""
    decoder, at = json.JSONDecoder(), 0
    while at < len(text.rstrip()):
        value, at = decoder.raw_decode(text, len(text) - len(text[at:].lstrip()))
        yield value


def commands(block: Block) -> Iterator[list[str]]:
    """The commands of a transcript (after `$ `) or of a script, without comments and redirections."""
    for line in block.text.splitlines():
        if block.kind == "console":
            if not line.startswith("$ "):
                continue
            line = line.removeprefix("$ ")
        tokens = shlex.split(line, comments=True)
        for end in ("|", ">", ">>"):
            tokens = tokens[: tokens.index(end)] if end in tokens else tokens
        if tokens[:1] == ["sudo"]:
            tokens = tokens[1:]
        if tokens:
            yield tokens


def test_every_block_is_of_a_kind_that_is_checked_here() -> None:
    assert {block.kind for block in EVERY} <= KINDS
    shown = [block.where for block in EVERY if block.kind == "" and re.search(r"^(\$|earmarkd?) ", block.text, re.M)]
    assert shown == []


@of("sh", "console")
def test_commands_are_such_that_the_programs_understand(block: Block, client: Client, tmp_path: Path) -> None:
    found = list(commands(block))
    assert found
    for program, *arguments in found:
        name = Path(program).name
        if name in PARSERS:
            PARSERS[name]().parse_args(arguments)  # exits where it is wrong
        elif name == "make":
            assert re.search(rf"^{arguments[0]}:", (ROOT / "Makefile").read_text(), re.M)
        elif name == "curl" and shutil.which("curl") and any(f"{EVENTS}?" in each for each in arguments):
            serve(partial(_answers, arguments))
        elif name == "curl" and shutil.which("curl"):
            _put_clips(tmp_path)
            sent = ["curl", "-s", "--noproxy", "*", *(each.replace(ADDRESS, client.address) for each in arguments)]
            done = subprocess.run(sent, capture_output=True, timeout=DEADLINE, cwd=tmp_path, check=True)
            if any(ANALYZE in each for each in arguments):
                last = json.loads(done.stdout.splitlines()[-1])
                assert (last["type"], last["heard"]) == ("progress", last["of"])
            else:
                assert json.loads(done.stdout)[0]["label"] == "yes"
        else:
            assert name in OTHER_COMMANDS


async def _answers(arguments: list[str], serving: Serving) -> None:
    """The daemon has a page of history for what is asked."""
    serving.score()
    serving.hear()
    asked = [each.replace(ADDRESS, serving.host) for each in arguments]
    command = await asyncio.create_subprocess_exec(
        *("curl", "-sf", "--noproxy", "*"), *asked, stdout=asyncio.subprocess.PIPE
    )
    told, _ = await asyncio.wait_for(command.communicate(), DEADLINE)
    assert command.returncode == 0
    assert told.startswith((b'{"epoch":', b"seq,time,type,"))


@of("toml")
def test_settings_are_such_that_a_configuration_may_hold(block: Block) -> None:
    tables = tomllib.loads(block.text)
    assert (parse_routes if "route" in tables else parse)(tables) is not None
    for classifier in tables.get("classifier", []):
        groups = classifier.get("groups", {})
        named = {*classifier.get("clips", []), *classifier.get("decide", {}).get("labels", {})} - {"*", *groups}
        model = MODELS / classifier.get("model", "").removeprefix("earmark/") / "config.json"
        if model.is_file():
            labels = set(json.loads(model.read_text())["id2label"].values())
            assert named | {*itertools.chain(*groups.values())} <= labels


@of("json")
def test_json_is_what_is_sent_and_received(block: Block) -> None:
    found = list(objects(block.text))
    assert found
    for each in found:
        if "changed" in each:
            assert [Change(**change) for change in each["changed"]]
            continue
        if each.keys() <= {*CLASSIFIER_FIELDS, "paused"}:
            (check_source if "paused" in each else check_classifier)(each)
            continue
        if "inputs" in each:
            assert ClipRequest(each["inputs"])
            continue
        if "logger" in each:
            assert list(each) == list(_logged(each))
            continue
        if "live" in each:
            assert msgspec.to_builtins(msgspec.convert(each, Liveness)) == each
            continue
        if "ready" in each:
            needs = {name: Need(each[name], each["missing"].get(name, {})) for name in PURPOSES}
            assert answer(needs)[0] == each
            continue
        if each.get("type") == "progress":
            assert msgspec.to_builtins(msgspec.convert(each, Progress)) == each
            continue
        for event in each.get("events", [each]):  # a page of history, or one event
            told = json.loads(encode(decode(json.dumps(event))))
            assert told == event  # no field that the daemon does not know


def _logged(told: dict[str, Any]) -> dict[str, Any]:
    """The object that the daemon writes for what such a line tells."""
    record = logging.makeLogRecord({"name": told["logger"], "levelname": "WARNING", "msg": told["message"]})
    vars(record).update({name: value for name, value in told.items() if name in log.FIELDS})
    found: dict[str, Any] = json.loads(log.Json().format(record))
    return found


@of("yaml")
def test_automations_have_what_home_assistant_wants_of_them(block: Block) -> None:
    """tests/unit/publish/test_discovery.py looks for their entities."""
    automation = yaml.safe_load(block.text)
    assert {"alias", "triggers", "actions"} <= automation.keys()
    for condition in automation.get("conditions", []):
        assert isinstance(condition["state"], str)


@of("js")
def test_scripts_have_no_error_of_syntax(block: Block, tmp_path: Path) -> None:
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    script = tmp_path / "block.mjs"
    script.write_text(block.text)
    subprocess.run(["node", "--check", str(script)], check=True, capture_output=True, timeout=DEADLINE)


@of("python")
def test_programs_run_as_printed(block: Block, client: Client, tmp_path: Path) -> None:
    """Those that never end are run until they have printed what they are for."""
    modules = {
        name.name for node in ast.walk(ast.parse(block.text)) if isinstance(node, ast.Import) for name in node.names
    }
    if missing := [name for name in sorted(modules) if find_spec(name.partition(".")[0]) is None]:
        pytest.skip(f"{', '.join(missing)} is not installed")
    _put_clips(tmp_path)
    if "earmark_client" in block.text and re.search(r"\bevents(_sync)?\(", block.text):
        serve(lambda serving: _follows(block, serving, tmp_path))
        return
    if "Sender(" in block.text:
        intake = Intake("kitchen", wake=lambda: None)
        network = Network(config.Network(name="kitchen"), intake)
        endpoint = audio_endpoint(lambda: {"kitchen": network}, lambda: ["kitchen"])
        serve(lambda serving: _sends(block, serving, tmp_path), endpoints={AUDIO: endpoint})
        assert intake.stats().offered == LONG_WAV
        return
    done = _program(block, client.address, tmp_path)
    assert done.wait(DEADLINE) == 0, done.communicate()[1]
    done.communicate()


async def _follows(block: Block, serving: Serving, folder: Path) -> None:
    """The program prints the labels, and survives whatever else there is."""
    program = _program(block, serving.host, folder)
    try:
        await serving.until(lambda: serving.hub.stats().subscribers == 1 or program.poll() is not None)
        assert program.stdout is not None
        for _ in range(2):
            serving.score()
            serving.hear("stop")
            assert await asyncio.to_thread(program.stdout.readline) == "stop 0.97\n"
        assert program.poll() is None
    finally:
        program.kill()
        program.communicate()


async def _sends(block: Block, serving: Serving, folder: Path) -> None:
    """The program sends its recording and says that nothing was lost."""
    program = _program(block, serving.host, folder)
    out, errors = await asyncio.to_thread(program.communicate, timeout=DEADLINE)
    assert (out, errors) == ("0.0 s were lost\n", "")


def _put_clips(folder: Path) -> None:
    soundfile.write(folder / "talk.wav", noise(LONG_WAV, -40), 16000, subtype="PCM_16")
    for name in ("sample1.flac", "clip.flac"):
        (folder / name).write_bytes(encoded(word("yes"), form="FLAC"))


def _program(block: Block, address: str, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-u", "-c", block.text.replace(ADDRESS, address)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={name: value for name, value in environment().items() if not name.endswith("_OFFLINE")},
    )
