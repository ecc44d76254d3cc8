"""Presets: settings for each embedded model, chosen by measurements on streams (docs/models.md).

`earmarkd --demo` uses all three. config/examples/ shows each, and a test keeps the examples equal to these presets.
"""

from __future__ import annotations

from earmark.config.settings import Classifier, Decide, Vad

COMMANDS = Classifier(name="commands")

EMOTION = Classifier(
    name="emotion",
    model="earmark/emotion",
    mode="sliding",
    hop=0.25,
    top_k=8,
    decide=Decide(
        on=0.7,
        off=0.55,
        smooth=1,
        hits=2,
        min_sound=0.3,
        ignore=("neutral", "calm"),
        labels={"angry": 0.85, "disgust": 0.6, "fearful": 0.5, "happy": 0.85},
    ),
)

SOUNDS = Classifier(
    name="sounds",
    model="earmark/sounds",
    gate="level",
    mode="sliding",
    hop=0.5,
    vad=Vad(level_db=12.0, hangover_ms=800, max_ms=60_000),
    decide=Decide(on=0.95, off=0.75, smooth=2, hits=2),
)

ALL = (COMMANDS, EMOTION, SOUNDS)
