"""Write the cards of the models that were judged by cross-validation, from their figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from training.models.base import CREDIT
from training.models.card import table

COMMAND = (
    "python -m training.models.{name} --data DATA --out daemon/earmark/models/{name} --steps {steps_of_a_fold}"
    " --batch {batch} --hearings {hearings} --seed {seed}"
)


def template(name: str) -> str:
    """Return the card with names in braces for the figures."""
    return (Path(__file__).parent / f"{name}.md").read_text()


def write_card(name: str, path: Path, figures: dict[str, Any]) -> None:
    """Write the card. `figures` are those of evaluation.json."""
    training, unheard, calibration = figures["training"], figures["unheard"], figures["calibration"]
    times = figures["one_window_one_thread_ms"]
    low, high = unheard["interval_95"]
    path.write_text(
        template(name).format(
            parameters=training["parameters"] / 1e6,
            features_ms=times["features"],
            forward_ms=times["forward"],
            recall=unheard["recall"],
            accuracy=unheard["accuracy"],
            low=low,
            high=high,
            clips=unheard["clips"],
            groups=unheard["groups"],
            folds=", ".join(f"{part:.1%}" for part in unheard["folds"]),
            conditions=table([[what, f"{part:.1%}"] for what, part in figures["conditions"].items()]),
            labels=table(
                [
                    [label, found["clips"], f"{found['recall']:.1%}", f"{found['precision']:.1%}"]
                    for label, found in figures["labels"].items()
                ]
            ),
            others=table(
                [
                    [corpus, found["recordings"], found["other_label"]]
                    for corpus, found in figures.get("others", {}).items()
                ]
            ),
            confusions="\n".join(
                f"* {pair['said']} heard as {pair['heard']}: {pair['clips']} clips"
                for pair in figures["commonest_confusions"]
            ),
            error=calibration["error"],
            error_untempered=calibration["error_untempered"],
            temperature=calibration["temperature"],
            base=CREDIT,
            steps=training["steps"],
            steps_of_a_fold=training["steps_of_a_fold"],
            batch=training["batch"],
            minutes=training["minutes"],
            device=training["device"],
            hearings=training["hearings"],
            seed=training["seed"],
            recordings=", ".join(f"{n} of {corpus}" for corpus, n in training["recordings"].items()),
            command=COMMAND.format(name=name, **training),
        )
    )
