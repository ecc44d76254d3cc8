"""Draw small pictures for the reports."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

mpl.use("Agg")  # no display
from matplotlib import pyplot as plt


def draw_confusion(table: NDArray[np.int64], labels: Sequence[str], path: Path) -> None:
    """Draw a row for each true label, coloured by the share of the row, with the numbers of clips."""
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
    """Draw the training loss and the accuracy on the dev side, by step."""
    steps = [row["step"] for row in history]
    path.parent.mkdir(parents=True, exist_ok=True)
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(6, 5), dpi=80, sharex=True)
    top.plot(steps, [row["loss"] for row in history], color="tab:gray")
    top.set_ylabel("training loss")
    shown = {"words": "ten words", "plain": "all labels, balanced", "rough": "the same, roughened"}
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
    """Draw the training loss of the shipped model, by step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure, axes = plt.subplots(figsize=(6, 3), dpi=80)
    axes.plot([row["step"] for row in history], [row["loss"] for row in history], color="tab:gray")
    axes.set_xlabel("step")
    axes.set_ylabel("training loss")
    axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)


def draw_streams(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw the shares of recordings that were found, mistaken and missed, with the delay, a bar for each scene.

    The lower part has false alarms an hour.
    """
    placed = [row for row in rows if row["placed"]]
    figure, (top, bottom) = plt.subplots(
        2, 1, figsize=(7, 1.6 + 0.42 * (len(placed) + len(rows))), dpi=80, height_ratios=[len(placed), len(rows)]
    )
    names = [_scene(row) for row in placed]
    left = np.zeros(len(placed))
    for what, colour in (("found", "tab:blue"), ("taken for another", "tab:orange"), ("missed", "lightgray")):
        shares = np.array([100 * _share(row, what) for row in placed])
        top.barh(names, shares, left=left, color=colour, label=what)
        left += shares
    for place, row in enumerate(placed):
        if row["delay_ms"]:
            top.text(1, place, f"{row['delay_ms']['median']} ms", va="center", color="white", fontsize=8)
    top.set_xlim(0, 100)
    top.set_xlabel("% of what was played; in the bars the median delay")
    top.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, frameon=False)
    every = [f"{row['played']}, {_scene(row)}" for row in rows]
    bottom.barh(every, [sum(row["false"].values()) / row["hours"] for row in rows], color="tab:red")
    bottom.set_xlabel("false alarms an hour")
    for axes in (top, bottom):
        axes.invert_yaxis()
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)


def _scene(row: dict[str, Any]) -> str:
    return str(row["scene"]).replace("_", " ").replace(" db", " dB")


def _share(row: dict[str, Any], what: str) -> float:
    found, mistaken, placed = row["found"], row["mistaken"], row["placed"]
    counts = {"found": found, "taken for another": mistaken, "missed": placed - found - mistaken}
    return float(counts[what] / placed)
