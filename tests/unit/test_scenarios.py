"""The table of the scenarios that `make test` prints."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.scenarios import SCENARIOS, gathered, table, verdict

TESTS = Path(__file__).parents[1]


def test_a_scenario_is_held_when_its_tests_passed_and_says_what_was_skipped() -> None:
    assert verdict({"a": ("passed", ""), "b": ("passed", "")}) == "held (2 tests)"
    assert verdict({"a": ("passed", ""), "b": ("skipped", "no tool")}) == "held (1 test, 1 skipped)"


def test_a_scenario_of_which_one_test_failed_is_not_held() -> None:
    assert verdict({"a": ("passed", ""), "b": ("failed", "")}) == "FAILED (1 of 2 tests)"


def test_a_scenario_that_nothing_played_says_so() -> None:
    lines = list(table({"t::a": ([2], "passed", ""), "t::b": ([3], "skipped", "pulseaudio is not installed")}))
    assert lines[0].startswith("  1  NOT PLAYED ")
    assert "     skipped: pulseaudio is not installed" in lines
    assert len([line for line in lines if line[:3].strip().isdigit()]) == len(SCENARIOS)


def test_the_outcomes_of_a_run_are_those_of_its_marked_tests() -> None:
    def report(name: str, outcome: str, properties: list[tuple[str, object]], told: object = None) -> pytest.TestReport:
        return pytest.TestReport(name, ("f.py", 0, name), {}, outcome, told, "call", user_properties=properties)  # type: ignore[arg-type]

    marked = report("t::a", "passed", [("scenario", 7), ("scenario", 8)])
    skipped = report("t::b", "skipped", [("scenario", 1)], ("f.py", 3, "Skipped: no network"))
    plain = report("t::c", "failed", [])
    stats: dict[str, list[object]] = {"passed": [marked], "skipped": [skipped], "failed": [plain], "": [object()]}
    assert gathered(stats) == {"t::a": ([7, 8], "passed", ""), "t::b": ([1], "skipped", "no network")}


def test_every_scenario_is_played_by_a_test_with_the_real_thing() -> None:
    files = [*(TESTS / "integration").glob("*.py"), *(TESTS / "contract").glob("*.py")]
    marks = [found for file in files for found in re.findall(r"mark\.scenario\(([\d, ]+)\)", file.read_text())]
    assert {int(number) for mark in marks for number in mark.split(",")} == SCENARIOS.keys()
