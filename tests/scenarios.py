"""The nineteen scenarios of what goes wrong, and the table of them that `make test` prints at its end.

A test that plays a part of scenario N is marked `@pytest.mark.scenario(N)`. `make test` calls pytest twice: the first
call gathers what became of the marked tests (`--scenarios gather`), the second adds its own and prints the table
(`--scenarios table`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

SCENARIOS = {
    1: "the microphone is absent at the start and appears later",
    2: "the microphone is unplugged while a label is on, and plugged in again",
    3: "the device is suspended, or the sound server frozen",
    4: "the sound server moves the stream to another microphone",
    5: "a microphone is open and dead: muted, quiet, clipping",
    6: "other rates and formats",
    7: "the worker is killed, hangs, has no memory, raises",
    8: "subscribers that never read, read slowly, lose packets, are half open",
    9: "2,000 subscribers at once, floods, broken frames",
    10: "a subscriber comes back with `since`",
    11: "three times the load that the model can bear",
    12: "the disk is full",
    13: "mistakes in the configuration",
    14: "SIGTERM, a second SIGTERM, SIGKILL",
    15: "systemd: ready, watchdog, hardening",
    16: "the clock is set back, the machine suspended",
    17: "who may reach the daemon, and what it gives away",
    18: "hostile audio",
    19: "an hour of churn",
}

Outcomes = dict[str, tuple[list[int], str, str]]
"""By the name of a test: its scenarios, its outcome, and why it was skipped."""

KEPT = "earmark/scenarios"
FAILED, SKIPPED, HELD = "failed", "skipped", "passed"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--scenarios", choices=("gather", "table"), help="keep what became of the scenarios, or add it and show all"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for number in numbers_of(item):
            item.user_properties.append(("scenario", number))


def numbers_of(item: pytest.Item) -> Iterator[int]:
    """Yield the scenarios of a test. Raises UsageError for a number that is none."""
    for mark in item.iter_markers("scenario"):
        for number in mark.args:
            if number not in SCENARIOS:
                raise pytest.UsageError(f"{item.nodeid}: there is no scenario {number}, only 1 to {max(SCENARIOS)}")
            yield number


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    wanted = config.getoption("--scenarios")
    if not wanted:
        return
    assert config.cache is not None
    earlier: Outcomes = config.cache.get(KEPT, {}) if wanted == "table" else {}
    outcomes = earlier | gathered(terminalreporter.stats)
    config.cache.set(KEPT, outcomes)
    if wanted == "table":
        terminalreporter.section("scenarios")
        for line in table(outcomes):
            terminalreporter.line(line)


def gathered(stats: Mapping[str, list[object]]) -> Outcomes:
    """Return the outcomes of the marked tests of a run."""
    outcomes: Outcomes = {}
    for kind in ("passed", "skipped", "failed", "error"):
        for report in stats.get(kind, []):
            if isinstance(report, pytest.TestReport):
                numbers = [value for name, value in report.user_properties if name == "scenario"]
                if numbers:
                    outcomes[report.nodeid] = ([int(str(n)) for n in numbers], report.outcome, reason_of(report))
    return outcomes


def reason_of(report: pytest.TestReport) -> str:
    """Return why a test was skipped, or nothing."""
    told = report.longrepr
    return told[2].removeprefix("Skipped: ") if report.outcome == SKIPPED and isinstance(told, tuple) else ""


def table(outcomes: Outcomes) -> Iterator[str]:
    """Yield a line for each scenario: held, failed, in part, skipped and why, or that no test played it."""
    for number, title in SCENARIOS.items():
        mine = {name: (what, why) for name, (numbers, what, why) in outcomes.items() if number in numbers}
        yield f"{number:3}  {verdict(mine):34}  {title}"
        for why in sorted({why for what, why in mine.values() if what == SKIPPED}):
            yield f"     skipped: {why}"
        for name, (what, _) in mine.items():
            if what == FAILED:
                yield f"     failed: {name}"


def verdict(mine: Mapping[str, tuple[str, str]]) -> str:
    """Return the verdict on one scenario, with counts of its tests."""
    kinds = [what for what, _ in mine.values()]
    held, skipped = kinds.count(HELD), kinds.count(SKIPPED)
    if not kinds:
        return "NOT PLAYED"
    if FAILED in kinds:
        return f"FAILED ({kinds.count(FAILED)} of {len(kinds)} tests)"
    if not held:
        return "skipped"
    return f"held ({held} test{'s' * (held > 1)}" + (f", {skipped} skipped)" if skipped else ")")
