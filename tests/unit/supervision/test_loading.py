from __future__ import annotations

import asyncio
import io
import logging
from dataclasses import replace

import pytest

from earmark.inference.engine import EngineState
from earmark.supervision.loading import EngineLog, progress, shown, to_open

ONE = EngineState("loading", "loading earmark/commands", loading=frozenset({"earmark/commands"}))
THREE = EngineState("loading", "loading a", loaded=frozenset({"b"}), loading=frozenset({"a", "c"}))


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (EngineState(), "starting: 4 s"),
        (EngineState("starting", "importing torch and transformers"), "importing torch and transformers: 4 s"),
        (ONE, "loading earmark/commands: 4 s"),
        (THREE, "loading a: 1 of 3 models, 4 s"),
    ],
)
def test_the_line_tells_what_is_being_loaded_and_for_how_long(state: EngineState, text: str) -> None:
    assert progress(state, 4.2) == text


def drawn(animated: bool) -> str:
    stream = io.StringIO()

    async def main() -> None:
        async with shown(lambda: THREE, stream, animated):
            await asyncio.sleep(0)

    asyncio.run(main())
    return stream.getvalue()


def test_a_terminal_shows_the_line_and_loses_it_at_the_end() -> None:
    assert drawn(True) == "\r\x1b[Kloading a: 1 of 3 models, 0 s\r\r\x1b[K"


def test_a_pipe_shows_no_line() -> None:
    assert drawn(False) == ""


def test_the_log_tells_each_thing_that_is_loaded_once(caplog: pytest.LogCaptureFixture) -> None:
    changed = EngineLog().changed
    with caplog.at_level(logging.INFO):
        for state in (EngineState(), ONE, ONE, THREE, EngineState("ready"), EngineState("failed", "it died")):
            changed(state)
    assert [record.getMessage() for record in caplog.records] == [
        "model process: loading earmark/commands",
        "model process: loading a",
        "model process: failed: it died",
    ]


def test_the_log_tells_each_death_once_however_often_the_state_changes_meanwhile(
    caplog: pytest.LogCaptureFixture,
) -> None:
    changed = EngineLog().changed
    died = EngineState("restarting", "the model process was killed by SIGKILL; it is started again at once")
    failed = EngineState("failed", "it died")
    for state in (EngineState("ready"), died, replace(died, pid=7), EngineState("ready"), died, failed, failed):
        changed(state)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", f"model process: restarting: {died.detail}"),
        ("WARNING", f"model process: restarting: {died.detail}"),
        ("ERROR", "model process: failed: it died"),
    ]


def test_the_log_tells_once_that_a_process_which_did_not_answer_answers_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    changed = EngineLog().changed
    silent = EngineState("unresponsive", "the model process has sent nothing for 1.5 s")
    with caplog.at_level(logging.INFO):
        for state in (EngineState("ready"), silent, EngineState("ready"), EngineState("ready", pid=7)):
            changed(state)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", f"model process: unresponsive: {silent.detail}"),
        ("INFO", "model process: ready: it answers again"),
    ]


def test_everybody_is_told_once_that_the_models_run_on_the_cpu_instead_and_once_that_they_do_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told: list[str] = []
    changed = EngineLog(told.append).changed
    fallen = EngineState("ready", device="cpu", fallback="it is gone")
    with caplog.at_level(logging.WARNING):
        for state in (EngineState(), fallen, fallen, EngineState("ready", device="cuda"), EngineState("ready")):
            changed(state)
    assert told == [
        "the models run on the CPU of this machine now: it is gone",
        "the models run on cuda again",
    ]
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("ERROR", told[0]),
        ("WARNING", told[1]),
    ]


@pytest.mark.parametrize(
    ("url", "opened"),
    [
        ("http://127.0.0.1:8765", "http://127.0.0.1:8765"),
        ("https://192.168.1.9:8765", "https://192.168.1.9:8765"),
        ("http://0.0.0.0:8765", "http://127.0.0.1:8765"),
        ("https://[::]:80", "https://[::1]:80"),
        ("http://10.0.0.0:80", "http://10.0.0.0:80"),
    ],
)
def test_the_page_of_a_port_that_is_open_at_all_addresses_is_told_by_one_that_a_browser_can_open(
    url: str, opened: str
) -> None:
    assert to_open(url) == opened
