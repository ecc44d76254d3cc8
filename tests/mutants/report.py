"""The table at the end, and the same for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.mutants.forks import Ended, Verdict
from tests.mutants.modules import Module
from tests.mutants.mutations import Mutant

LONG = 80  # characters of code that are shown whole


@dataclass(frozen=True, slots=True)
class ModuleResult:
    """How one module fared, or all. Mutants that cannot be imported are `broken` and not among those tried."""

    name: str
    mutants: int
    tried: int
    killed: int
    timed_out: int  # which are among the killed
    broken: int

    @property
    def survived(self) -> int:
        return self.tried - self.killed

    @property
    def percent(self) -> float:
        return 100.0 * self.killed / self.tried if self.tried else 100.0


def figures(name: str, mutants: int, ended: Sequence[Ended]) -> ModuleResult:
    """Count what became of the runs `ended`, of `mutants` that there are."""
    verdicts = [one.verdict for one in ended]
    timed_out, broken = verdicts.count(Verdict.TIMED_OUT), verdicts.count(Verdict.BROKEN)
    killed = verdicts.count(Verdict.KILLED) + timed_out
    return ModuleResult(name, mutants, len(verdicts) - broken, killed, timed_out, broken)


def each(modules: Sequence[Module], ended: Sequence[Ended]) -> list[ModuleResult]:
    """Return the figures of each module, and those of all at the end."""
    own = {module.name: [one for one in ended if one.run.module == module] for module in modules}
    rows = [figures(module.short, len(module.mutants), own[module.name]) for module in modules]
    return [*rows, figures("all", sum(row.mutants for row in rows), ended)]


def table(rows: Sequence[ModuleResult], least: float, least_module: float) -> str:
    """Return the table; a `*` marks what is below its goal, `least` for the last row."""
    width = max(len("module"), *(len(row.name) for row in rows))
    lines = [f"{'module':{width}}  mutants  tried  killed  survived  per cent"]
    for place, row in enumerate(rows):
        below = "*" if row.percent < (least if place == len(rows) - 1 else least_module) else ""
        counts = f"{row.mutants:7}  {row.tried:5}  {row.killed:6}  {row.survived:8}"
        lines.append(f"{row.name:{width}}  {counts}  {row.percent:8.1f}{below}")
    lines.insert(-1, "-" * len(lines[0]))
    total = rows[-1]
    lines.append(
        f"{total.timed_out} of the killed ran out of time; {total.broken} could not be imported and do not count"
    )
    return "\n".join(lines)


def survivors(ended: Sequence[Ended]) -> list[tuple[Module, Mutant]]:
    """Return the mutants that no test noticed, by module and line."""
    lived = [one.run for one in ended if one.verdict is Verdict.SURVIVED]
    pairs = [(run.module, run.mutant) for run in lived if run.mutant]
    return sorted(pairs, key=lambda pair: (pair[0].name, pair[1]))


def survivor_line(module: Module, mutant: Mutant, root: Path) -> str:
    """Return `file:line  original -> mutant`, where long code shows only what lies around the change."""
    original, changed = _around_the_change(mutant.original, mutant.changed)
    return f"{module.path.relative_to(root)}:{mutant.line}  {original} -> {changed}"


def _around_the_change(original: str, changed: str) -> tuple[str, str]:
    if max(len(original), len(changed)) <= LONG:
        return original, changed
    same = next((place for place, (one, two) in enumerate(zip(original, changed, strict=False)) if one != two), 0)
    start = max(0, same - LONG // 3)
    return _cut(original, start), _cut(changed, start)


def _cut(text: str, start: int) -> str:
    end = start + LONG
    return ("..." if start else "") + text[start:end] + ("..." if end < len(text) else "")


def as_json(rows: Sequence[ModuleResult], ended: Sequence[Ended], root: Path, seed: int) -> dict[str, Any]:
    """Return what --json writes."""
    told = [asdict(row) | {"survived": row.survived, "percent": round(row.percent, 1)} for row in rows]
    lived = [
        {
            "file": str(module.path.relative_to(root)),
            "line": mutant.line,
            "original": mutant.original,
            "mutant": mutant.changed,
        }
        for module, mutant in survivors(ended)
    ]
    return {"seed": seed, "modules": told[:-1], "total": told[-1], "survivors": lived}
