"""The commands that change a running daemon, against its real routes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from earmark.access import token_lines
from earmark.access.audit import Audit
from earmark.access.tokens import ALL_SCOPES, Token
from earmark.config.settings import Server
from earmark.control.routes import Control
from earmark_client.__main__ import main
from tests.serving import Serving, serve
from tests.steering import FakeSteering


def earmark(*commands: Sequence[str], settings: Server | None = None) -> tuple[FakeSteering, list[int]]:
    """Run commands one after the other against a server on a free port; return its fake and the exit codes."""
    steering, audit, codes = FakeSteering(), Audit(), list[int]()

    async def scenario(serving: Serving) -> None:
        for command in commands:
            codes.append(await asyncio.to_thread(main, [*command, "--url", serving.host]))

    serve(scenario, settings, routes=Control(steering, audit).routes(), audit=audit)
    return steering, codes


def test_set_changes_a_classifier_and_prints_the_lines_that_keep_it(capsys: pytest.CaptureFixture[str]) -> None:
    steering, codes = earmark(["set", "emotion", "decide.on=0.7", "decide.labels.happy=0.6"])
    out, told = capsys.readouterr()
    assert (codes, steering.settings["emotion"][0].on) == ([0], 0.7)
    assert out == (
        '[[classifier]]\nname = "emotion"\n\n[classifier.decide]\non = 0.7\n\n[classifier.decide.labels]\nhappy = 0.6\n'
    )
    assert "classifier[emotion].decide.on: 0.8 -> 0.7\n" in told
    assert "to keep it, give the [[classifier]] emotion of your configuration these lines:\n" in told


def test_set_without_changes_shows_what_is_in_force(capsys: pytest.CaptureFixture[str]) -> None:
    _, codes = earmark(["set", "emotion", "decide.on=0.7"], ["set", "emotion"], ["set", "emotoin"])
    out, told = capsys.readouterr()
    assert "decide.on=0.7" in out.splitlines()
    assert codes == [0, 0, 1]
    assert "there is no classifier 'emotoin'; did you mean emotion?" in told


def test_pause_and_resume_say_what_is_so_now(capsys: pytest.CaptureFixture[str]) -> None:
    steering, codes = earmark(["pause", "desk"], ["pause", "desk"], ["resume", "desk"])
    assert capsys.readouterr().out.splitlines() == [
        "desk: paused",
        "desk: was paused already",
        "desk: no longer paused",
    ]
    assert (steering.paused, codes) == (False, [0, 0, 0])


def test_reload_tells_what_needs_a_restart(capsys: pytest.CaptureFixture[str]) -> None:
    steering, codes = earmark(["reload"])
    assert (steering.reloads, codes) == (1, [0])
    assert capsys.readouterr().out == "needs a restart, and stays as it is: server.listen\n"


def test_sources_are_listed_for_people_and_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    earmark(["sources"], ["sources", "--json"])
    out = capsys.readouterr().out
    assert "desk    listening  USB Microphone  16000 Hz\n" in out
    assert out.splitlines()[-1].startswith('[{"name":"desk"')


def test_refusals_are_told_in_the_daemons_words(capsys: pytest.CaptureFixture[str]) -> None:
    _, codes = earmark(["set", "emotoin", "decide.on=1"], ["pause", "desc"], ["set", "emotion", "decide.on=2"])
    told = capsys.readouterr().err
    assert codes == [1, 1, 1]
    assert "there is no classifier 'emotoin'; did you mean emotion?" in told
    assert "there is no source 'desc'; did you mean desk?" in told


def test_a_daemon_with_tokens_wants_one_with_the_scope_admin(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EARMARK_TOKEN", raising=False)
    file = tmp_path / "tokens"
    tokens = [Token.of("boss-text", ALL_SCOPES, "boss"), Token.of("page-text", {"subscribe"}, "page")]
    file.write_text("\n".join(map(token_lines.line, tokens)))
    file.chmod(0o600)
    guarded = Server(listen="127.0.0.1:0", token_file=str(file))
    pause = ["pause", "desk"]
    steering, codes = earmark(
        pause, [*pause, "--token", "page-text"], [*pause, "--token", "boss-text"], settings=guarded
    )
    told = capsys.readouterr().err
    assert (codes, steering.paused) == ([1, 1, 0], True)
    assert "give --token, or set EARMARK_TOKEN" in told
    assert "This token does not allow `admin`" in told
