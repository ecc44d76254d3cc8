"""A client that goes on where it was, over the sudden death of the daemon itself."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

import websockets.sync.client

from tests.daemon import DEADLINE, Daemon
from tests.signals import demo_file


def configured(folder: Path) -> str:
    """A daemon with a journal that plays the words of the demo for ever, as fast as they can be classified."""
    file = folder / "earmark.toml"
    file.write_text(f"""
        [journal]
        path = "{folder / "journal"}"

        [[source]]
        kind = "file"
        name = "desk"
        path = "{demo_file(folder)}"
        loop = true
        fast = true

        [[classifier]]
        name = "commands"
    """)
    return str(file)


def read(daemon: Daemon, query: str, count: int) -> list[dict[str, Any]]:
    """The first messages that a subscriber gets."""
    with websockets.sync.client.connect(f"ws://{daemon.address}/v1/events{query}", proxy=None) as connection:
        return [json.loads(connection.recv(DEADLINE)) for _ in range(count)]


def history(daemon: Daemon, query: str) -> dict[str, Any]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://{daemon.address}/v1/events?{query}", timeout=DEADLINE) as answer:
        told: dict[str, Any] = json.load(answer)
        return told


def test_a_client_goes_on_where_it_was_when_the_daemon_was_killed_and_started_again(tmp_path: Path) -> None:
    settings = configured(tmp_path)
    with Daemon("--config", settings) as first:
        hello, *before = read(first, "", 4)
        first.process.kill()
        first.process.wait()
    seen = before[0]
    with Daemon("--config", settings) as second:
        second.until(lambda event: event["type"] == "result")
        again, *after = read(second, f"?since={hello['epoch']}:{seen['seq']}", 6)
        page = history(second, f"since={hello['epoch']}:0&limit=1000")
    assert (again["type"], again["epoch"], again["oldest"]) == ("hello", hello["epoch"], 1)
    assert after[:2] == before[1:]
    assert [event["seq"] for event in after] == list(range(seen["seq"] + 1, seen["seq"] + 6))
    assert [event["seq"] for event in page["events"]] == list(range(1, len(page["events"]) + 1))
    assert page["events"][seen["seq"] : seen["seq"] + 5] == after


def test_without_a_journal_memory_is_enough_for_a_short_absence(tmp_path: Path) -> None:
    settings = configured(tmp_path)
    text = Path(settings).read_text()
    Path(settings).write_text("journal = false\nserver.recent = 100000\n" + text[text.index("[[source]]") :])
    with Daemon("--config", settings) as daemon:
        hello, one, two = read(daemon, "", 3)
        daemon.until(lambda event: event["seq"] >= two["seq"] + 2)
        _, again, after = read(daemon, f"?since={hello['epoch']}:{one['seq']}", 3)
    assert (again, after["seq"]) == (two, two["seq"] + 1)
