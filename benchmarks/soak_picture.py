"""The picture of a soak: its figures over time."""

from __future__ import annotations

from collections.abc import Sequence
from math import nan
from pathlib import Path
from typing import Any

import matplotlib as mpl

from benchmarks.usage import Usage
from benchmarks.verdict import lateness

mpl.use("Agg")  # no display
from matplotlib import pyplot as plt


def draw(looks: Sequence[Usage], warm: float, path: Path) -> None:
    """Draw the figures over the minutes. `warm` is the second at which the warm-up ended, which is shown grey."""
    minutes = [usage.at / 60 for usage in looks]
    figure, axes = plt.subplots(3, 2, figsize=(11, 8), dpi=90, sharex=True)
    panels: list[tuple[str, Any, dict[str, list[float]]]] = [
        ("memory of the daemon, MB", axes[0, 0], {"": [each.daemon for each in looks]}),
        ("memory of the model process, MB", axes[0, 1], {"": [each.worker or nan for each in looks]}),
        (
            "open descriptors, child processes",
            axes[1, 0],
            {"descriptors": [each.descriptors for each in looks], "children": [each.children for each in looks]},
        ),
        (
            "threads, tasks of the event loop",
            axes[1, 1],
            {"threads": [each.threads for each in looks], "tasks": [each.tasks for each in looks]},
        ),
        ("95th percentile of the delay of results, ms", axes[2, 1], {"": [each.delay or nan for each in looks]}),
    ]
    for title, panel, lines in panels:
        for label, values in lines.items():
            panel.plot(minutes, values, label=label or None, linewidth=1)
        panel.set_title(title, fontsize=10)
        if len(lines) > 1:
            panel.legend(fontsize=8)
    late = list(lateness(looks))
    axes[2, 0].plot([sample.at / 60 for sample in late], [sample.value for sample in late], linewidth=1)
    axes[2, 0].set_title("lateness of the event loop, ms", fontsize=10)
    for panel in axes.flat:
        panel.set_ylim(bottom=0)
        panel.axvspan(0, warm / 60, color="0.93")
        panel.grid(alpha=0.3)
    for panel in axes[-1]:
        panel.set_xlabel("minutes; grey is the warm-up")
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    plt.close(figure)
