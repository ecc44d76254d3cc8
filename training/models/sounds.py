"""Train the sound model that Earmark ships, judge it on folds that it has not heard, and write its folder.

Ten sounds and `_background_`; three seconds at 16 kHz. A run that was stopped continues from its last
save.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from transformers import WhisperFeatureExtractor

from earmark.config.labels import BACKGROUND
from training.crossed.settle import Settling
from training.crossed.ship import Plan, ship
from training.crossed.study import Strain
from training.data.audio import RATE
from training.data.hearings import Roughness
from training.data.recordings import SOUND_LABELS, SOUNDS, Recording, read_sounds
from training.models.loop import Tuning
from training.models.options import arguments

GENTLE = Strain(
    crop=300,
    audible=0.5,
    time=0.03,
    pitch=0.02,
    bands=0,
    frames=0,
    colour=2.0,
    noise=0.3,
    snr_db=(5.0, 40.0),
    gain_db=(-25.0, 6.0),
)
"""How windows are changed to which the head of a settled model is fitted."""

# A sixth of every batch is background. The shares are by corpus, because there are few noises and much speech.
BACKGROUND_SHARE = {"background_noise": 0.7, "librispeech": 0.6, "speech_commands_v1_words": 0.6, "silence": 0.2}


def plan() -> Plan:
    """Return the parameters of the model."""
    return Plan(
        name="sounds",
        labels=SOUND_LABELS,
        judged=len(SOUNDS),
        extractor=WhisperFeatureExtractor(feature_size=80, chunk_length=3, sampling_rate=RATE),
        roughness=Roughness(speed=(0.9, 1.12), room=0.15, noise=0.3),
        strain=replace(
            GENTLE, time=0.1, pitch=0.03, bands=8, frames=30, colour=4.0, blended=0.4, noise=0.35, snr_db=(0.0, 35.0)
        ),
        tuning=Tuning(encoder=0.2, average=0.995, smoothing=0.1),
        settling=Settling(kept=0.5, decay=3e-3),
        gentle=GENTLE,
    )


def source(recording: Recording) -> str:
    """Return the group that a bootstrap must not split: all clips of one recording of freesound, or of one reader."""
    if recording.label == BACKGROUND or recording.path is None:
        return f"{recording.corpus}-{recording.group}"
    return recording.path.name.split("-")[1]


def chances(recordings: Sequence[Recording]) -> list[float]:
    """Return weights that make all sounds equally likely, and backgrounds as likely as BACKGROUND_SHARE says."""
    kinds = [(recording.label, recording.corpus) for recording in recordings]
    return [BACKGROUND_SHARE.get(corpus, 1.0) / kinds.count((label, corpus)) for label, corpus in kinds]


def main(argv: Sequence[str] | None = None) -> None:
    options = arguments("sounds", __doc__, 1500, 64, argv, hearings=0)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    recordings = read_sounds(options.data)
    groups = sorted({recording.group for recording in recordings})
    folds = [groups.index(recording.group) for recording in recordings]
    ship(plan(), recordings, folds, chances(recordings), [source(r) for r in recordings], options)


if __name__ == "__main__":
    main()
