"""What `earmark tune` tells about one classifier, as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from earmark.columns import padded
from earmark.tomlfile.values import toml
from earmark.tuning.choose import Choice
from earmark.tuning.replay import Decided, Rejection, ScoredWindow, Step

BARS = "▁▂▃▄▅▆▇█"
WIDTH = 60  # characters of a curve
MOST_REJECTIONS = 10


def table(choices: Sequence[Choice], judged: bool) -> Iterator[str]:
    """Yield a row for each label. Where nothing says what is to be heard, only detections are counted."""
    if judged:
        rows = [["label", "now", "hits", "missed", "false", "", "best", "hits", "missed", "false", "equally good"]]
        for each in choices:
            cells = [
                [f"{threshold:.2f}", str(tally.hits), str(tally.misses), str(tally.false)]
                for threshold, tally in ((each.present, each.now), (each.chosen, each.then))
            ]
            rows.append([each.label, *cells[0], "->", *cells[1], _run(each)])
    else:
        rows = [["label", "now", "detected", "the same from"]]
        rows += [
            [each.label, f"{each.present:.2f}", str(each.now.hits + each.now.false), _run(each)] for each in choices
        ]
    yield from ("  ".join(cells).rstrip() for cells in padded(rows))


def _run(choice: Choice) -> str:
    return f"{choice.low:.2f} to {choice.high:.2f}"


def rejections(decided: Decided) -> Iterator[str]:
    """Yield how many labels were suppressed for which reason, and the first of them."""
    if not decided.rejections:
        return
    counts = Counter(each.reason for each in decided.rejections)
    yield "suppressed: " + ", ".join(f"{count} for {reason}" for reason, count in counts.most_common())
    for each in decided.rejections[:MOST_REJECTIONS]:
        yield _rejection(each)
    if (more := len(decided.rejections) - MOST_REJECTIONS) > 0:
        yield f"  and {more} more"


def _rejection(each: Rejection) -> str:
    return f"  {each.start:8.2f} s  {each.label}  {each.score:.2f}  {each.reason}"


def curve(steps: Sequence[Step], index: int, seconds: float, width: int = WIDTH) -> str:
    """Return the highest scores of a label over time as one line of bars; a space where nothing was scored."""
    highest = [-1.0] * width
    for step in steps:
        if isinstance(step, ScoredWindow) and seconds > 0:
            place = min(width - 1, int(step.judged.end / 1000 / seconds * width))
            highest[place] = max(highest[place], float(step.scores[index]))
    return "".join(" " if score < 0 else bar(score) for score in highest)


def bar(score: float) -> str:
    """Return the bar for a score from 0 to 1."""
    return BARS[min(len(BARS) - 1, max(0, int(score * len(BARS))))]


def settings(classifier: str, choices: Sequence[Choice]) -> str:
    """Return the lines of a configuration with the chosen thresholds, or nothing if they are the present ones."""
    changed = {each.label: each.chosen for each in choices if each.chosen != each.present}
    if not changed:
        return ""
    lines = [
        f"{label if label.isidentifier() and label.isascii() else toml(label)} = {threshold:g}"
        for label, threshold in changed.items()
    ]
    return "\n".join(["[[classifier]]", f"name = {toml(classifier)}", "[classifier.decide.labels]", *lines])
