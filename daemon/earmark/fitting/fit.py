"""The part of `earmark learn` that needs torch, in a process of its own: `python -m earmark.fitting.fit JOB FOLDER`.

JOB is a file that learning/job.py wrote. FOLDER becomes a checkpoint: the encoder of the base as it is, and a new head,
which is multinomial logistic regression on the mean of the encoder's states. The projector of the stock head
standardises that mean, the classifier has the weights. Standard output has progress, a line at a time; evaluation.json
in FOLDER has the figures. On failure the exit code is 1 and standard error has one sentence.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from transformers import AutoFeatureExtractor

from earmark.audio.types import Floats
from earmark.errors import EarmarkError, ModelError
from earmark.fitting.head import Head, TrainingSet, fit, put_on
from earmark.learning import augment, leave_one_out, negatives
from earmark.learning.job import OTHER_LABELS, Job
from earmark.worker import heads, model

VARIANTS = 20  # of each example, besides the window that the daemon would cut
BACKGROUND_WINDOWS = 200
MAX_ROUNDS = 40  # of leave-one-out
BATCH = 64
TELL_SECONDS = 1.0


def main() -> int:
    try:
        model.use_threads(0)
        learn(Job.read(Path(sys.argv[1])), Path(sys.argv[2]))
    except EarmarkError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def learn(job: Job, folder: Path) -> None:
    """Make a checkpoint from the job. Raises ModelError if the base cannot be built upon."""
    random = np.random.default_rng(0)
    network, _ = heads.network(job.base_name, job.base)
    if not (hasattr(network, "encoder") and hasattr(network, "projector")) or network.config.use_weighted_layer_sum:
        raise ModelError(f"{job.base_name}: is no encoder with Whisper's head; only on those can be built, so far")
    extractor = AutoFeatureExtractor.from_pretrained(job.base, **heads.LOCAL)
    encoder = Encoder(network.eval(), extractor)
    examples = _example_states(job, encoder, random)
    backgrounds = augment.background_windows(BACKGROUND_WINDOWS, job.window, job.backgrounds, random)
    training_set = _training_set(job, examples, encoder.states(backgrounds))
    evaluation, shift = _leave_one_out(job, training_set)
    _save(network, extractor, fit(training_set).shifted(len(job.labels), shift), job.labels, folder)
    (folder / "evaluation.json").write_bytes(msgspec.json.format(msgspec.json.encode(evaluation), indent=2))


class Encoder:
    """The base's encoder: from windows to the mean of its states over each window."""

    def __init__(self, network: Any, extractor: Any) -> None:
        self._network = network
        self._extractor = extractor

    @torch.inference_mode()
    def states(self, windows: Floats) -> Floats:
        """Return the means, shape (windows, width), of windows of shape (windows, length)."""
        made = []
        for start in range(0, len(windows), BATCH):
            part = list(windows[start : start + BATCH])
            features = self._extractor(part, sampling_rate=self._extractor.sampling_rate, return_tensors="pt")
            made.append(self._network.encoder(features["input_features"])[0].mean(dim=1).float().numpy())
        return np.concatenate(made)


def _example_states(job: Job, encoder: Encoder, random: np.random.Generator) -> Floats:
    """Return shape (examples, 1 + VARIANTS, width); the first of each is the window that the daemon cuts."""
    states = []
    for example in _with_progress("hearing the examples", job.examples):
        natural = augment.natural(example, job.window, job.pre_roll)
        others = augment.variants(example, VARIANTS, job.window, job.pre_roll, job.backgrounds, random)
        states.append(encoder.states(np.concatenate([natural[None], others])))
    return np.stack(states)


def _training_set(job: Job, examples: Floats, backgrounds: Floats) -> TrainingSet:
    """Put the states of the examples, of the negatives and of the backgrounds together."""
    others = negatives.read(job.base).without(job.labels)
    count, per_example = len(job.labels), examples.shape[1]
    labels = [
        np.repeat(job.truth, per_example),
        np.full(len(others.words), count),
        np.full(len(backgrounds), count + 1),
    ]
    weights = [
        np.ones(len(job.examples) * per_example),
        others.weights,
        np.ones(len(backgrounds)),
    ]
    states = np.concatenate([examples.reshape(-1, examples.shape[-1]), others.states, backgrounds])
    return TrainingSet(states, np.concatenate(labels), np.concatenate(weights).astype(np.float32), per_example)


def _leave_one_out(job: Job, training_set: TrainingSet) -> tuple[leave_one_out.Evaluation, float]:
    """Leave each example with its variants out once, and with it a part of the windows with none of the labels.

    Returns what was found, and the shift of the labels' logits that it was found with.
    """
    first = len(job.examples) * training_set.per_example  # window with none of the labels
    taken = leave_one_out.assign_rounds(job.truth, MAX_ROUNDS)
    rounds = int(taken.max()) + 1
    rest = leave_one_out.assign_shares(training_set.labels[first:].tolist(), rounds)
    left_out = np.concatenate([np.repeat(taken, training_set.per_example), rest])
    natural = np.arange(len(job.examples)) * training_set.per_example
    count = len(job.labels)
    logits = np.zeros((len(job.examples), count + len(OTHER_LABELS)), np.float32)
    parts = []
    for number in _with_progress("leaving one out", list(range(rounds))):
        head = fit(training_set.part(left_out != number))
        logits[taken == number] = head.logits(training_set.states[natural[taken == number]])
        parts.append(head.logits(training_set.states[first:][rest == number]))
    others = np.concatenate(parts)
    shift = leave_one_out.shift(others, count)
    scores, other_scores = (leave_one_out.shifted(some, count, shift) for some in (logits, others))
    return leave_one_out.evaluate(job.labels, job.truth, scores, other_scores, rounds), shift


def _save(network: Any, extractor: Any, head: Head, labels: tuple[str, ...], folder: Path) -> None:
    """Write a stock checkpoint of the same layout as the base."""
    names = (*labels, *OTHER_LABELS)
    config = network.config
    config.id2label = dict(enumerate(names))
    config.label2id = {label: number for number, label in enumerate(names)}
    put_on(network, head)
    config._name_or_path = ""  # would tell where it was made
    network.save_pretrained(folder)
    extractor.save_pretrained(folder)
    for file in folder.iterdir():
        os.chmod(file, 0o644)  # safetensors writes for the owner only, and the daemon may be another user


def _with_progress(what: str, items: list[Any]) -> Iterator[Any]:
    """Yield the items, and print a line every second about how many of them are done."""
    told = 0.0
    for done, item in enumerate(items):
        if time.monotonic() - told >= TELL_SECONDS:
            told = time.monotonic()
            print(f"{what}: {done / len(items):.0%}", flush=True)
        yield item
    print(f"{what}: 100%", flush=True)


if __name__ == "__main__":
    sys.exit(main())
