"""The sound server, with a stand-in for pactl."""

from __future__ import annotations

import json
import os
import time
from contextlib import closing
from pathlib import Path

import pytest

from earmark.devices.sound_server import Connection, ServerSource, SoundServer

SOURCES = [
    {
        "index": 7,
        "name": "alsa_input.usb-Yeti",
        "description": "Mikrofon “Yeti”",
        "sample_specification": "s16le 2ch 44100Hz",
        "properties": {"device.class": "sound"},
    },
    {"index": 8, "name": "hdmi.monitor", "description": "", "sample_specification": "", "properties": {}},
]
STREAMS = [
    {"index": 1, "source": 8, "properties": {}},
    {"index": 2, "source": 7, "properties": {"application.process.id": "4711"}},
]
YETI = ServerSource("alsa_input.usb-Yeti", "Mikrofon “Yeti”", 2, 44100, is_monitor=False)


def pactl(folder: Path, script: str = "") -> str:
    """A program that answers as pactl does, or does what the script says."""
    (folder / "sources").write_text(json.dumps(SOURCES))
    (folder / "streams").write_text(json.dumps(STREAMS))
    program = folder / "pactl"
    answers = f"""case "$*" in
    "-f json list sources") cat {folder}/sources;;
    "-f json list source-outputs") cat {folder}/streams;;
    "-f json info") echo '{{"default_source_name": "hdmi.monitor"}}';;
    subscribe) exec cat {folder}/events;;
    *) exit 1;;
esac"""
    program.write_text(f"#!/bin/sh\n{script or answers}\n")
    program.chmod(0o755)
    return str(program)


@pytest.fixture
def server(tmp_path: Path) -> SoundServer:
    os.mkfifo(tmp_path / "events")
    return SoundServer(program=pactl(tmp_path))


def test_sources_are_listed_with_what_people_call_them(server: SoundServer) -> None:
    yeti, hdmi = server.sources()
    assert yeti == YETI
    assert (hdmi.name, hdmi.description) == ("hdmi.monitor", "hdmi.monitor")
    assert server.default() == "hdmi.monitor"


def test_the_source_of_a_process_is_found(server: SoundServer) -> None:
    assert server.source_of(4711) == YETI
    assert server.source_of(4712) is None


@pytest.mark.parametrize("script", ["exit 1", "echo '{\"balance\":0,00}'"])
def test_nothing_is_known_where_pactl_fails_or_tells_nonsense(tmp_path: Path, script: str) -> None:
    server = SoundServer(program=pactl(tmp_path, script))
    assert server.sources() == []
    assert server.source_of(4711) is None
    assert server.default() == ""


def test_nothing_is_known_where_pactl_hangs_and_who_asks_for_a_process_is_told(tmp_path: Path) -> None:
    server = SoundServer(program=pactl(tmp_path, "exec sleep 99"))
    assert server.sources() == []
    assert server.default() == ""
    with pytest.raises(TimeoutError):
        server.source_of(4711)


def test_nothing_is_known_where_there_is_no_pactl(tmp_path: Path) -> None:
    server = SoundServer(program=str(tmp_path / "nothing"))
    assert server.sources() == []
    assert server.subscribe() is None


def test_the_server_is_asked_at_the_beginning_soon_after_and_when_it_reports_a_change(
    server: SoundServer, tmp_path: Path
) -> None:
    now = 0.0
    with closing(Connection(server, 4711, clock=lambda: now)) as connection:
        assert connection.source() == YETI
        now = 0.9
        assert connection.source() is None
        now = 1.0
        assert connection.source() == YETI
        now = 2.0
        assert connection.source() is None
        (tmp_path / "events").write_text("Event 'change' on source-output #2\n")
        deadline = time.monotonic() + 10.0
        while connection.source() is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        now = 31.9
        assert connection.source() is None
        now = 32.0
        assert connection.source() == YETI


def test_a_device_that_is_not_the_servers_is_asked_about_no_more(server: SoundServer, tmp_path: Path) -> None:
    now = 0.0
    with closing(Connection(server, 1, clock=lambda: now)) as connection:
        for now in (0.0, 1.0):  # noqa: B007  # the clock reads it
            assert connection.source() is None
        (tmp_path / "streams").write_text(json.dumps([{"source": 7, "properties": {"application.process.id": "1"}}]))
        now = 1000.0
        assert connection.source() is None


class Busy(SoundServer):
    """A server that answers no question in time while it is busy, and reports no change."""

    busy = True

    def source_of(self, pid: int) -> ServerSource | None:
        if self.busy:
            raise TimeoutError
        return YETI

    def subscribe(self) -> None:
        return None


def test_a_server_that_is_too_busy_to_answer_is_asked_again() -> None:
    now, server = 0.0, Busy()
    with closing(Connection(server, 4711, clock=lambda: now)) as connection:
        for now in (0.0, 10.0, 20.0):  # noqa: B007  # the clock reads it
            assert connection.source() is None
        server.busy = False
        now = 29.9
        assert connection.source() is None
        now = 30.0
        assert connection.source() == YETI
