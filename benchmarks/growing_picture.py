"""The picture of a curve of benchmarks/growing.py."""

from __future__ import annotations

import statistics
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

from benchmarks.growing import Curve
from benchmarks.table import interval


def draw(curve: Curve, file: Path) -> None:
    """Draw the cost of a unit, with its 95 % interval, over the number of units; the peer's below it."""
    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    counts = [cost.count for cost in curve.costs]
    series = [("Earmark", [cost.ours for cost in curve.costs], "C0")]
    if curve.peer:
        series.append((curve.peer, [cost.peer for cost in curve.costs], "C7"))
    for name, rounds, colour in series:
        axes.plot(counts, [statistics.median(each) for each in rounds], "o-", color=colour, label=name)
        ends = [interval(each) for each in rounds]
        axes.fill_between(
            counts,
            [statistics.median(each) if low is None else low for each, (low, _) in zip(rounds, ends, strict=True)],
            [statistics.median(each) if high is None else high for each, (_, high) in zip(rounds, ends, strict=True)],
            color=colour,
            alpha=0.2,
            linewidth=0,
        )
    axes.set_xscale("log")
    axes.set_xticks(counts, [f"{count:,}" for count in counts])
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    axes.set_xlabel(f"number of {curve.name}")
    axes.set_ylabel(curve.unit)
    axes.set_title("What one of them costs; shaded: 95 % interval of the median")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(file, dpi=110)
    pyplot.close(figure)
