"""Write the model card of the command model, from its figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from training.data.augment import Recipe
from training.models.base import CREDIT

CARD = Path(__file__).with_suffix(".md")
"""The card with names in braces for the figures."""
COMMAND = (
    "python -m training.models.commands --data DATA --out daemon/earmark/models/commands"
    " --steps {steps} --batch {batch} --seed {seed}"
)


def table(rows: list[list[object]]) -> str:
    """Return the rows of a Markdown table."""
    return "\n".join("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows)


def write_card(path: Path, figures: dict[str, Any]) -> None:
    """Write the card. `figures` are those of evaluation.json."""
    training, held_out = figures["training"], figures["held_out_words"]
    times = figures["one_window_one_thread_ms"]
    low, high = held_out["interval_95"]
    text = CARD.read_text().format(
        base=CREDIT,
        parameters=training["parameters"] / 1e6,
        features_ms=times["features"],
        forward_ms=times["forward"],
        clips=held_out["clips"],
        speakers=held_out["speakers"],
        accuracy=held_out["accuracy"],
        low=low,
        high=high,
        conditions=table([[c["what"], f"{c['accuracy']:.1%}"] for c in figures["conditions"].values()]),
        words=table(
            [[word, w["clips"], f"{w['recall']:.1%}", f"{w['precision']:.1%}"] for word, w in figures["words"].items()]
        ),
        false_commands=table(
            [
                [what, f["windows"], *(f"{f[at]:.1%}" for at in ("at_0.0", "at_0.6", "at_0.8"))]
                for what, f in figures["false_commands"].items()
            ]
        ),
        voices=table([[e, v["clips"], f"{v['accuracy']:.0%}"] for e, v in figures["synthetic_voices"].items()]),
        calibration=figures["calibration"],
        temperature=training.get("temperature", 1.0),
        confusions="\n".join(
            f'* "{pair["said"]}" heard as "{pair["heard"]}": {pair["clips"]} clips'
            for pair in figures["commonest_confusions"]
        ),
        recipe=Recipe(),
        note=" " + training["note"] if "note" in training else "",
        steps=training["steps"],
        batch=training["batch"],
        minutes=training["minutes"],
        device=training["device"],
        seed=training["seed"],
        best_step=training["best_step"],
        training_clips=", ".join(f"{n} of {c}" for c, n in training["clips"]["train"].items()),
        command=COMMAND.format(**training),
    )
    path.write_text(text)
