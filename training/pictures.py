"""Two small pictures for the reports."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

mpl.use("Agg")  # no display
from matplotlib import pyplot as plt


def draw_confusion(table: NDArray[np.int64], labels: Sequence[str], path: Path) -> None:
    """Rows are true labels, coloured by the share of the row; numbers are clips."""
    shares = table / table.sum(1, keepdims=True).clip(1)
    figure, axes = plt.subplots(figsize=(6, 5.4), dpi=80)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(labels)), labels, rotation=60, ha="right")
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xlabel("heard")
    axes.set_ylabel("said")
    for (row, column), count in np.ndenumerate(table):
        if count:
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=7)
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)


def draw_history(history: Sequence[dict[str, float]], path: Path) -> None:
    """The loss on what is trained on, and accuracy on the dev side, by step."""
    steps = [row["step"] for row in history]
    path.parent.mkdir(parents=True, exist_ok=True)
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(6, 5), dpi=80, sharex=True)
    top.plot(steps, [row["loss"] for row in history], color="tab:gray")
    top.set_ylabel("training loss")
    shown = {"words": "ten words", "plain": "12 labels, balanced", "rough": "the same, roughened"}
    for name, what in shown.items():
        bottom.plot(steps, [100 * row[name] for row in history], label=what)
    bottom.set_ylabel("dev accuracy, %")
    bottom.set_xlabel("step")
    bottom.grid(alpha=0.3)
    bottom.legend(loc="lower right")
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)


def draw_losses(history: Sequence[dict[str, float]], path: Path) -> None:
    """The loss of the shipped model on what it is trained on, by step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure, axes = plt.subplots(figsize=(6, 3), dpi=80)
    axes.plot([row["step"] for row in history], [row["loss"] for row in history], color="tab:gray")
    axes.set_xlabel("step")
    axes.set_ylabel("training loss")
    axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)
