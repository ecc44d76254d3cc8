"""Try other thresholds on the scores that an embedded model gives for continuous streams.

The settings in earmark.config.presets were chosen with this program.

The streams of the dev side (of another fold than that of the test) are played once through the daemon, as by
training.streams.measure; then its decisions are made again with each combination of `on`, `smooth` and `hits`
(`longest` for commands), from the scores that it published. `off` follows `on`. How gates open and close is not tried
here.
"""

from __future__ import annotations

import argparse
import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np

from earmark.config.settings import Classifier, Config
from earmark.deciding.judged import Decider
from earmark.deciding.rules import Off, On
from earmark.deciding.sliding import SlidingDecider
from earmark.deciding.utterances import UtteranceDecider
from earmark.listening.plan import plans
from earmark.protocol.events import Result
from training.models.card import table
from training.streams.match import Fired, Tally, matched
from training.streams.measure import KINDS, noise_of, streams_of
from training.streams.offline import plan_of
from training.streams.play import played

EXAMPLES = """examples:
  python -m training.streams.sweep commands --data DATA
  python -m training.streams.sweep sounds --data DATA --model /tmp/twins/fold-0
"""
GRIDS: dict[str, dict[str, Sequence[float]]] = {
    "commands": {"on": (0.5, 0.6, 0.7, 0.8, 0.9, 0.95), "longest": (0.8, 1.0, 10.0)},
    "emotion": {"on": (0.3, 0.4, 0.5, 0.6), "smooth": (1, 2, 3), "hits": (1, 2, 3, 4)},
    "sounds": {"on": (0.5, 0.6, 0.7, 0.8, 0.9), "smooth": (1, 2, 3), "hits": (1, 2, 3, 4)},
}
GAP = 0.15
"""The difference between `on` and `off`."""


def newest(classifier: Classifier) -> float:
    """Seconds of a window before its newest hop; 0 for utterances."""
    if classifier.mode == "utterance":
        return 0.0
    (plan,) = plans(Config(classifier=(classifier,)))
    return plan.info.window - plan.info.hop


def decided(
    results: Sequence[tuple[float, Result]], decider: Decider, labels: Sequence[str], before: float = 0.0
) -> list[Fired]:
    """Return the labels that one stream's results lead to. They begin `before` seconds into their first window.

    The gate closes after a final result. Streams end in silence, so that every label goes off.
    """
    fired: list[Fired] = []
    on: dict[str, tuple[float, float]] = {}
    for at, result in results:
        scores = {item.label: item.score for item in result.result}
        array = np.array([scores[label] for label in labels], np.float32)
        decisions = decider.scored(round(result.start * 1000), round(result.end * 1000), array, final=result.final)
        if result.final:
            decisions = [*decisions, *decider.ended(round(result.end * 1000), "quiet")]
        for decision in decisions:
            match decision:
                case On(label, _, start, _, None):
                    on[label] = (start / 1000 + before, at)
                case On(label, _, start, _, end) if end is not None:
                    fired.append(Fired(label, start / 1000, end / 1000, at))
                case Off(label, _, start, end):
                    fired.append(Fired(label, start / 1000, end / 1000, on.pop(label)[1]))
    return fired


def variants(kind: str, classifier: Classifier) -> Iterator[tuple[tuple[float, ...], Classifier]]:
    """Yield every combination of the grid, and the classifier with it."""
    grid = GRIDS[kind]
    for values in itertools.product(*grid.values()):
        changes = dict(zip(grid, values, strict=True))
        decide = msgspec.structs.replace(classifier.decide, **changes, off=max(0.0, changes["on"] - GAP))
        yield values, msgspec.structs.replace(classifier, decide=decide)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m training.streams.sweep",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    data = os.environ.get("EARMARK_DATA")
    parser.add_argument("kind", choices=KINDS, help="which model")
    parser.add_argument("--data", type=Path, default=data, required=not data, help="folder of the corpora")
    parser.add_argument("--model", type=Path, help="folder of another checkpoint than the embedded one")
    parser.add_argument("--side", choices=("dev", "test"), default="dev", help="(default: dev)")
    parser.add_argument("--scenes", nargs="*", default=("noise_20_db", "rooms"), help="(default: noise_20_db rooms)")
    options = parser.parse_args(argv)
    make, classifier = KINDS[options.kind]
    noises = noise_of(options.data, options.side)
    trials = [trial for trial in make(options.data, options.side) if trial.scene in options.scenes]
    heard = []
    for trial in trials:
        streams = streams_of(trial, noises, seed=2)
        heard.append((streams, played(streams, classifier, options.model)))
    columns = [f"{trial.name}, {trial.scene}" for trial in trials]
    rows: list[list[object]] = [[*GRIDS[options.kind], *columns], ["---"] * (len(GRIDS[options.kind]) + len(columns))]
    for values, changed in variants(options.kind, classifier):
        plan = plan_of(changed, options.model)
        cells: list[object] = [*values]
        for trial, (streams, told) in zip(trials, heard, strict=True):
            tally = Tally()
            for stream, each in zip(streams, told, strict=True):
                decider = SlidingDecider(plan.rules) if changed.mode == "sliding" else UtteranceDecider(plan.rules)
                fired = decided(each.results, decider, plan.checkpoint.labels, newest(changed))
                tally.add(matched(stream.truth, fired, trial.known, from_end=trial.from_end))
            cells.append(told_of(tally, sum(stream.seconds for stream in streams)))
        rows.append(cells)
    print(table(rows))


def told_of(tally: Tally, seconds: float) -> str:
    """Return found, mistaken, false alarms an hour and the median delay as a cell of the table."""
    placed, false = tally.placed.total(), tally.false.total() * 3600 / seconds
    if not placed:
        return f"{tally.false.total()} false, {false:.1f}/h"
    delay = f", {np.median(tally.delays):.2f} s" if tally.delays else ""
    found, mistaken = tally.found.total() / placed, tally.mistaken.total() / placed
    return f"{found:.1%} found, {mistaken:.1%} mistaken, {false:.1f}/h{delay}"


if __name__ == "__main__":
    main()
