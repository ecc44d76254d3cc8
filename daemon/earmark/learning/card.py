"""The model card of a learnt checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from earmark.audio.types import Samples
from earmark.checkpoints.checkpoint import Checkpoint
from earmark.learning import leave_one_out

CARD = """\
---
library_name: transformers
pipeline_tag: audio-classification
license: {licence}
tags: [audio-classification, keyword-spotting]
---

# {name}

{labels}: learnt by `earmark learn` on {day} from {examples} examples, upon `{base}`, whose encoder it is,
unchanged, with a new head. `_unknown_` is other speech, `_background_` noise{backgrounds}.

## Figures

Each example as a model answers it that was learnt without it ({rounds} rounds); "{missed}": with no label at
{threshold} or more.

{table}

Of {other} windows of other words, sentences and noise, left out likewise, {false} drew a label at {threshold}.

The examples are few, and all from the voices and rooms that they were recorded in: with other people, other
microphones or a noisier place, expect less.
{advice}
## Terms

The encoder and what was learnt of other words come with `{base}` under {licence}; see its model card for credits. The
examples are the user's own; none of their sound is in this folder.
"""


def card(
    name: str, base: Checkpoint, evaluation: leave_one_out.Evaluation, backgrounds: Sequence[Samples], day: date
) -> str:
    """Return the text of README.md in the model's folder."""
    seconds = sum(map(len, backgrounds)) / base.rate
    advice = "".join(f"\n* {sentence}" for sentence in leave_one_out.advice(evaluation))
    return CARD.format(
        licence=base.licence or "other",
        name=name,
        labels=", ".join(f"**{label}**" for label in evaluation.labels),
        day=day.isoformat(),
        examples=sum(evaluation.examples(index) for index in range(len(evaluation.labels))),
        base=base.name,
        backgrounds=f", with {seconds:.0f} s of the user's own room" if backgrounds else "",
        rounds=evaluation.rounds,
        missed=leave_one_out.MISSED,
        threshold=evaluation.threshold,
        table=leave_one_out.table(evaluation),
        other=evaluation.other,
        false=evaluation.false,
        advice=f"{advice}\n" if advice else "",
    )
