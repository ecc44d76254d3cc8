"""Train the emotion model that Earmark ships, judge it on actors that it has not heard, and write its folder.

Eight labels; three seconds of speech at 16 kHz; for non-commercial use only, as the recordings are. A run that was
stopped continues from its last save.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from transformers import WhisperFeatureExtractor

from training.crossed.ship import Plan, ship
from training.crossed.study import Strain
from training.data.audio import RATE
from training.data.hearings import Roughness
from training.data.recordings import EMOTIONS, Recording, read_emotions
from training.models.loop import Tuning
from training.models.options import arguments

FOLDS = 5


def plan() -> Plan:
    """Return the parameters of the model."""
    return Plan(
        name="emotion",
        labels=EMOTIONS,
        judged=len(EMOTIONS),
        extractor=WhisperFeatureExtractor(feature_size=80, chunk_length=3, sampling_rate=RATE),
        roughness=Roughness(speed=(0.95, 1.05), room=0.15, noise=0.3, snr_db=(15.0, 40.0)),
        strain=Strain(crop=300, audible=1.0, time=0.05, pitch=0.05, bands=12, frames=40, colour=8.0),
        tuning=Tuning(average=0.99, smoothing=0.1),
    )


def fold_of(actors: Sequence[str]) -> list[int]:
    """Return the fold of each recording. Pairs of neighbouring actors, a man and a woman, are dealt out to them."""
    names = sorted(set(actors))
    return [names.index(actor) // 2 % FOLDS for actor in actors]


def chances(recordings: Sequence[Recording]) -> list[float]:
    """Return weights that make every label equally likely: neutral has half as many clips as the others."""
    labels = [recording.label for recording in recordings]
    return [1 / labels.count(label) for label in labels]


def main(argv: Sequence[str] | None = None) -> None:
    options = arguments("emotion", __doc__, 1800, 48, argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    recordings = read_emotions(options.data)
    actors = [recording.group for recording in recordings]
    ship(plan(), recordings, fold_of(actors), chances(recordings), actors, options)


if __name__ == "__main__":
    main()
