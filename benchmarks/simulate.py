"""Simulate many microphones, daemons, model replicas and gateways, from measured costs, before anybody buys them.

Microphones speak and fall silent by chance. Their windows go through the segmenter of their daemon, in batches to the
replicas, and as events through NATS to the gateways, which send them to their subscribers. The simulation says how busy
each stage is, how late the last subscriber of an event gets it, what is lost where, and what saturates first.

    python -m benchmarks.simulate                                   the steps of docs/scaling.md
    python -m benchmarks.simulate --costs bench.json                with the figures of `python -m benchmarks --json`
    python -m benchmarks.simulate --microphones 300 --replicas 2    one plant

Nothing here measures: costs that were never measured are assumptions, and `--sources` tells which.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

from benchmarks.simulation.costs import SOURCES, Costs, measured
from benchmarks.simulation.plant import Plant, expected, planned
from benchmarks.simulation.run import Outcome, Simulation
from earmark.columns import padded

STEPS = (1, 10, 100, 1_000, 10_000)


def steps(costs: Costs, seconds: float, seed: int) -> Iterator[list[str]]:
    """Yield the table of docs/scaling.md, row by row."""
    yield [
        *("microphones", "subscribers", "windows/s", "MB/s", "daemons", "replicas", "gateways", "NATS"),
        *("p50", "p99", "lost", "at ten times the load"),
    ]
    for count in STEPS:
        plant = planned(Plant(microphones=count, subscribers=100 * count), costs)
        found = Simulation(plant, costs, seed).run(_enough(plant, seconds))
        on_paper = expected(plant, costs)
        grown = replace(plant, microphones=10 * count, subscribers=1_000 * count)
        broken = Simulation(grown, costs, seed).run(_enough(grown, seconds) / 2)
        yield [
            *(f"{count:,}", f"{plant.subscribers:,}", f"{plant.windows:.4g}", f"{plant.wire:.3g}"),
            _busy(plant.daemons, "daemons", found, on_paper),
            _busy(plant.replicas, "replicas", found, on_paper),
            _busy(plant.gateways, "gateways", found, on_paper) + (f", {plant.parts} parts" if plant.parts > 1 else ""),
            f"{_share(found.use['nats'])} ({_share(on_paper['nats'])})" if plant.is_remote else "",
            *(f"{1000 * found.p50:.0f} ms", f"{1000 * found.p99:.0f} ms"),
            _losses(found),
            _breaks(broken, expected(grown, costs)),
        ]


def _enough(plant: Plant, seconds: float) -> float:
    """Return the time to simulate: longer for a plant with few windows, so that its percentiles mean something."""
    return max(seconds, min(3600.0, 20_000 / plant.windows))


def _busy(count: int, stage: str, found: Outcome, on_paper: dict[str, float]) -> str:
    return f"{count}: {_share(found.use[stage])} ({_share(on_paper[stage])})"


def _share(value: float) -> str:
    return f"{100 * value:.2g} %" if value < 0.1 else f"{100 * value:,.0f} %"


def _losses(found: Outcome) -> str:
    return ", ".join(f"{stage} {_share(part)}" for stage, part in found.lost.items() if part > 0) or "0"


def _breaks(broken: Outcome, on_paper: dict[str, float]) -> str:
    """Tell which stages have more work than they can do, the one with the most first, and what is lost of it."""
    order = sorted(on_paper, key=lambda stage: -on_paper[stage])
    over = [f"{stage} {_share(on_paper[stage])}" for stage in order if on_paper[stage] > 0.95]
    if not over:
        return f"holds, {order[0]} {_share(on_paper[order[0]])}; lost: {_losses(broken)}"
    return f"{', '.join(over)}; lost: {_losses(broken)}"


def main() -> int:
    """Print the steps, or one plant. Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.simulate", description="Simulate many microphones, models and subscribers."
    )
    parser.add_argument("--costs", type=Path, metavar="FILE", help="what `python -m benchmarks --json FILE` wrote")
    parser.add_argument("--sources", action="store_true", help="print each cost and where it comes from")
    parser.add_argument("--seconds", type=float, default=30.0, help="to simulate at least (default 30)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--window-ms", type=float, help="of a replica for each window; the most useful cost to change")
    for each in fields(Plant):
        name = f"--{each.name.replace('_', '-')}"
        if each.name == "is_remote":
            parser.add_argument("--remote", dest=each.name, action="store_const", const=True)
        else:
            parser.add_argument(name, type=int if each.type == "int" else float, dest=each.name)
    options = parser.parse_args()
    costs, sources = Costs(), SOURCES
    if options.costs:
        costs, sources = measured(json.loads(options.costs.read_text())["rows"], str(options.costs))
    if options.window_ms:
        costs = replace(costs, window=options.window_ms / 1000)
        sources = {**sources, "window": "--window-ms"}
    if options.sources:
        for line in padded([(name, f"{getattr(costs, name):.4g}", source) for name, source in sources.items()]):
            print("  ".join(line).rstrip())
        return 0
    given = {each.name: getattr(options, each.name) for each in fields(Plant)}
    chosen = {name: value for name, value in given.items() if value is not None}
    table = list(_one(Plant(**chosen), costs, options) if chosen else steps(costs, options.seconds, options.seed))
    for row in table[:1], [["---"] * len(table[0])], table[1:]:
        for cells in row:
            print(f"| {' | '.join(cells)} |")
    return 0


def _one(plant: Plant, costs: Costs, options: argparse.Namespace) -> Iterator[list[str]]:
    """Yield the table of one plant: each stage with what it was, and what arithmetic says."""
    found = Simulation(plant, costs, options.seed).run(options.seconds)
    yield ["of", "simulated", "by arithmetic"]
    for stage, share in expected(plant, costs).items():
        yield [stage, _share(found.use[stage]), _share(share)]
    yield ["windows a second", f"{found.windows / options.seconds:.4g}", f"{plant.windows:.4g}"]
    yield ["windows in a batch", f"{found.batch:.3g}", ""]
    yield ["lag, p50", f"{1000 * found.p50:.1f} ms", ""]
    yield ["lag, p99", f"{1000 * found.p99:.1f} ms", ""]
    yield ["lost", _losses(found), ""]


if __name__ == "__main__":
    sys.exit(main())
