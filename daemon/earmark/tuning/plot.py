"""A picture of scores over time against their thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from earmark.errors import EarmarkError
from earmark.tuning.choose import Choice
from earmark.tuning.replay import ScoredWindow, Step
from earmark.tuning.truth import Truth


def plot(
    path: Path,
    panels: Sequence[tuple[str, Sequence[Step], int, Choice]],
    truth: Sequence[Truth],
) -> None:
    """Draw a panel for each label: its name, the steps, its place in their scores, and its choice.

    Raises EarmarkError if matplotlib is missing or the file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise EarmarkError("--plot needs matplotlib: pip install matplotlib") from None
    figure = Figure(figsize=(10, 1.2 + 1.4 * max(1, len(panels))), layout="constrained")
    axes = figure.subplots(max(1, len(panels)), 1, sharex=True, squeeze=False)[:, 0]
    for axis, (name, steps, index, choice) in zip(axes, panels, strict=False):
        windows = [step for step in steps if isinstance(step, ScoredWindow)]
        times = [window.judged.end / 1000 for window in windows]
        axis.plot(times, [float(window.scores[index]) for window in windows], ".", markersize=4, color="tab:blue")
        axis.axhline(choice.present, linestyle="--", linewidth=1, color="tab:gray", label=f"now {choice.present:.2f}")
        axis.axhline(choice.chosen, linewidth=1.2, color="tab:red", label=f"best {choice.chosen:.2f}")
        for place in truth:
            if place.label == choice.label:
                axis.axvspan(place.start, place.end, color="tab:green", alpha=0.2, linewidth=0)
        axis.set(ylim=(0, 1.02), ylabel=name)
        axis.legend(loc="upper right", fontsize="x-small")
    axes[-1].set_xlabel("seconds in the recording")
    try:
        figure.savefig(path, dpi=120)
    except (OSError, ValueError) as error:
        raise EarmarkError(f"{path}: the plot cannot be written: {error}") from None
