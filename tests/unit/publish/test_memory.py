from __future__ import annotations

from pathlib import Path

import pytest

from earmark.publish.memory import Announced, Memory

DEVICES = {"homeassistant/device/earmark-home/config": {"status": "binary_sensor"}}
STATES = ("earmark/home/desk/state",)


def test_what_was_announced_is_known_in_the_next_run(tmp_path: Path) -> None:
    file = tmp_path / "new" / "mqtt.json"
    Memory(file, "broker:1883").write(DEVICES, STATES)
    assert Memory(file, "broker:1883").read() == Announced("broker:1883", DEVICES, ["earmark/home/desk/state"])
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"devices":1}'])
def test_a_damaged_file_tells_nothing(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "mqtt.json"
    file.write_bytes(content)
    assert Memory(file, "broker:1883").read() == Announced("broker:1883")


def test_nothing_is_known_of_another_broker(tmp_path: Path) -> None:
    Memory(tmp_path / "mqtt.json", "broker:1883").write(DEVICES, STATES)
    assert Memory(tmp_path / "mqtt.json", "other:1883").read() == Announced("other:1883")


def test_without_a_file_it_is_known_while_the_daemon_runs() -> None:
    memory = Memory(None, "broker:1883")
    assert memory.read() == Announced("broker:1883")
    memory.write(DEVICES, STATES)
    assert memory.read().devices == DEVICES
