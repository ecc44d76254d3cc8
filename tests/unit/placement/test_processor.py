"""What /proc/cpuinfo says."""

from __future__ import annotations

from pathlib import Path

from earmark.placement.processor import flags, name


def test_a_processor_is_known_by_its_name_and_flags(tmp_path: Path) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text("processor\t: 0\nmodel\t\t: 2\nmodel name\t: Fast  9000 CPU\nflags\t\t: fpu amx_bf16\n\n")
    assert (name(file), flags(file)) == ("Fast 9000 CPU", frozenset({"fpu", "amx_bf16"}))


def test_a_board_is_known_by_its_own_name(tmp_path: Path) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text("processor\t: 0\nFeatures\t: fp asimd bf16\n\nHardware\t: BCM2835\nModel\t\t: Raspberry Pi 5\n")
    assert (name(file), flags(file)) == ("BCM2835", frozenset({"fp", "asimd", "bf16"}))


def test_nothing_is_known_where_the_system_tells_nothing(tmp_path: Path) -> None:
    assert flags(tmp_path / "absent") == frozenset()
    assert name(tmp_path / "absent")
