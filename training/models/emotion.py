"""Train the emotion model that Earmark ships, judge it on actors that it has not heard, and write its folder.

Eight labels; three seconds of speech at 16 kHz; for non-commercial use only, as the recordings are. A run that was
stopped continues from its last save.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from transformers import WhisperFeatureExtractor

from training.crossed.ship import Plan, ship
from training.crossed.study import Strain
from training.data.audio import RATE
from training.data.hearings import Roughness
from training.data.recordings import EMOTIONS, Recording, read_emotions, read_ordinary
from training.models.loop import Tuning
from training.models.options import arguments

FOLDS = 5
ACTED = "ravdess_noncommercial"
# Of every batch three tenths are ordinary speech. The rest is acted, every emotion as often as the others.
ORDINARY_SHARE = {
    "librispeech": 0.18,
    "speech_commands_v1_words": 0.03,
    "speech_commands_v2_test": 0.03,
    "wake_words": 0.03,
    "synthetic_ten_words": 0.03,
}


def plan() -> Plan:
    """Return the parameters of the model."""
    return Plan(
        name="emotion",
        labels=EMOTIONS,
        judged=len(EMOTIONS),
        extractor=WhisperFeatureExtractor(feature_size=80, chunk_length=3, sampling_rate=RATE),
        roughness=Roughness(speed=(0.95, 1.05), room=0.25, noise=0.0),
        strain=Strain(
            crop=300,
            audible=0.9,
            time=0.05,
            pitch=0.04,
            bands=12,
            frames=40,
            colour=8.0,
            early=0.4,
            noise=0.8,
            gain_db=(-22.0, 6.0),
        ),
        tuning=Tuning(encoder=0.2, average=0.998, smoothing=0.1),
        judged_by=ACTED,
    )


def fold_of(actors: Sequence[str]) -> list[int]:
    """Return the fold of each recording. Pairs of neighbouring actors, a man and a woman, are dealt out to them."""
    names = sorted(set(actors))
    return [names.index(actor) // 2 % FOLDS for actor in actors]


def read(data: Path) -> tuple[list[Recording], list[int]]:
    """Return all recordings and their folds."""
    acted, ordinary = read_emotions(data), read_ordinary(data, FOLDS)
    folds = fold_of([recording.group for recording in acted])
    return [*acted, *ordinary], [*folds, *(int(recording.group.rsplit("-", 1)[1]) for recording in ordinary)]


def chances(recordings: Sequence[Recording]) -> list[float]:
    """Return weights that make acted emotions equally likely, and ordinary speech as likely as ORDINARY_SHARE says."""
    kinds = [(recording.label, recording.corpus) for recording in recordings]
    acted = (1 - sum(ORDINARY_SHARE.values())) / len(EMOTIONS)
    counts = Counter(kinds)
    return [ORDINARY_SHARE.get(corpus, acted) / counts[label, corpus] for label, corpus in kinds]


def main(argv: Sequence[str] | None = None) -> None:
    options = arguments("emotion", __doc__, 1500, 64, argv, hearings=0)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    recordings, folds = read(options.data)
    ship(plan(), recordings, folds, chances(recordings), [recording.group for recording in recordings], options)


if __name__ == "__main__":
    main()
