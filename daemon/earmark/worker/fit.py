"""What `earmark learn` needs torch for, in a process of its own: `python -m earmark.worker.fit JOB FOLDER`.

JOB is what job.py writes. FOLDER becomes a checkpoint: the encoder of the base as it is, and a new head, which is
multinomial logistic regression on the mean of the encoder's states. The projector of the stock head standardises
that mean, the classifier has the weights. Standard output tells how far it is, a line each; evaluation.json in FOLDER
has the figures. Exit code 1 and one sentence on standard error where it cannot be done.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from transformers import AutoFeatureExtractor

from earmark.audio.types import Floats
from earmark.errors import EarmarkError, ModelError
from earmark.learning import augment as variants
from earmark.learning import leave_one_out as leftout
from earmark.learning import negatives
from earmark.learning.job import OTHERS, Job
from earmark.worker import heads, model

VARIANTS = 20  # of each take, besides the one that the daemon would cut
BACKGROUNDS = 200
MOST_ROUNDS = 40  # of leave-one-out
KNOWN = 30.0  # a word that the base knows weighs so much more than another: it is heard clearly, and must not fire
BATCH = 64
DECAY = 1e-3
STEPS = 40  # of L-BFGS; the figures are those of 100
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
    """From takes to a checkpoint. Raises ModelError where the base cannot be built upon."""
    random = np.random.default_rng(0)
    network, _ = heads.network(job.base_name, job.base)
    if not (hasattr(network, "encoder") and hasattr(network, "projector")) or network.config.use_weighted_layer_sum:
        raise ModelError(f"{job.base_name}: is no encoder with Whisper's head; only on those can be built, so far")
    extractor = AutoFeatureExtractor.from_pretrained(job.base, **heads.LOCAL)
    encoder = Encoder(network.eval(), extractor)
    examples = _hear(job, encoder, random)
    rooms = encoder.states(variants.backgrounds(BACKGROUNDS, job.window, job.rooms, random))
    lessons = _lessons(job, examples, rooms, network.config.label2id)
    figures = _leave_one_out(job, lessons)
    _save(network, extractor, fit(lessons), job.labels, folder)
    (folder / "evaluation.json").write_bytes(msgspec.json.format(msgspec.json.encode(figures), indent=2))


class Encoder:
    """Windows to the means of the encoder's states."""

    def __init__(self, network: Any, extractor: Any) -> None:
        self._network = network
        self._extractor = extractor

    @torch.inference_mode()
    def states(self, windows: Floats) -> Floats:
        """Shape (windows, length) to (windows, width)."""
        made = []
        for start in range(0, len(windows), BATCH):
            part = list(windows[start : start + BATCH])
            features = self._extractor(part, sampling_rate=self._extractor.sampling_rate, return_tensors="pt")
            made.append(self._network.encoder(features["input_features"])[0].mean(dim=1).float().numpy())
        return np.concatenate(made)


@dataclass(frozen=True, slots=True, eq=False)
class TrainingSet:
    """What a head is learnt from: first the takes' windows, `per_take` of each, then what is none of the labels."""

    states: Floats
    labels: npt.NDArray[np.int64]
    weights: Floats  # among those of the same label
    per_take: int

    def part(self, which: npt.NDArray[np.bool_]) -> TrainingSet:
        return TrainingSet(self.states[which], self.labels[which], self.weights[which], self.per_take)


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """Logits are `weight @ ((states - mean) / deviation) + bias`."""

    mean: Tensor
    deviation: Tensor
    weight: Tensor
    bias: Tensor

    def scores(self, states: Floats) -> Floats:
        logits = (torch.from_numpy(states) - self.mean) / self.deviation @ self.weight.T + self.bias
        probabilities: Floats = logits.softmax(-1).numpy()
        return probabilities


def fit(lessons: TrainingSet) -> Head:
    """Logistic regression in which every label weighs the same, however many windows it has."""
    inputs, targets = torch.from_numpy(lessons.states), torch.from_numpy(lessons.labels)
    mean, deviation = inputs.mean(0), inputs.std(0).clamp(min=1e-6)
    inputs = (inputs - mean) / deviation
    weights = torch.from_numpy(lessons.weights)
    sums = torch.bincount(targets, weights)
    weights = (weights / sums[targets] / len(sums)).float()
    weight = torch.zeros(len(sums), inputs.shape[1], requires_grad=True)
    bias = torch.zeros(len(sums), requires_grad=True)
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=STEPS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        each = torch.nn.functional.cross_entropy(inputs @ weight.T + bias, targets, reduction="none")
        total = (each * weights).sum() + DECAY * weight.square().sum()
        total.backward()  # type: ignore[no-untyped-call]  # untyped in torch
        return total

    optimiser.step(loss)  # type: ignore[no-untyped-call]  # untyped in torch
    return Head(mean, deviation, weight.detach(), bias.detach())


def _hear(job: Job, encoder: Encoder, random: np.random.Generator) -> Floats:
    """Shape (takes, 1 + VARIANTS, width); the first of each is the window as the daemon cuts it."""
    heard = []
    for take in _told("hearing the examples", job.takes):
        as_it_is = variants.plain(take, job.window, job.pre_roll)
        others = variants.varied(take, VARIANTS, job.window, job.pre_roll, job.rooms, random)
        heard.append(encoder.states(np.concatenate([as_it_is[None], others])))
    return np.stack(heard)


def _lessons(job: Job, examples: Floats, rooms: Floats, known: Collection[str]) -> TrainingSet:
    others = negatives.read(job.base).without(job.labels)
    count, per_take = len(job.labels), examples.shape[1]
    labels = [np.repeat(job.truth, per_take), np.full(len(others.words), count), np.full(len(rooms), count + 1)]
    weights = [
        np.ones(len(job.takes) * per_take),
        np.where([word in known for word in others.words], KNOWN, 1.0),
        np.ones(len(rooms)),
    ]
    states = np.concatenate([examples.reshape(-1, examples.shape[-1]), others.states, rooms])
    return TrainingSet(states, np.concatenate(labels), np.concatenate(weights).astype(np.float32), per_take)


def _leave_one_out(job: Job, lessons: TrainingSet) -> leftout.Evaluation:
    """Each take with its variants is left out once, and with it a share of what is no label, one after the other."""
    first = len(job.takes) * lessons.per_take  # of what is no label
    taken = leftout.rounds(job.truth, MOST_ROUNDS)
    rounds = int(taken.max()) + 1
    rest = np.arange(len(lessons.states) - first) * rounds // (len(lessons.states) - first)
    left_out = np.concatenate([np.repeat(taken, lessons.per_take), rest])
    as_they_are = np.arange(len(job.takes)) * lessons.per_take
    scores = np.zeros((len(job.takes), len(job.labels) + len(OTHERS)), np.float32)
    others = []
    for number in _told("leaving one out", list(range(rounds))):
        head = fit(lessons.part(left_out != number))
        scores[taken == number] = head.scores(lessons.states[as_they_are[taken == number]])
        others.append(head.scores(lessons.states[first:][rest == number]))
    return leftout.figures(job.labels, job.truth, scores, np.concatenate(others), rounds)


def _save(network: Any, extractor: Any, head: Head, labels: tuple[str, ...], folder: Path) -> None:
    """A stock checkpoint, as the base was."""
    width, names = len(head.mean), (*labels, *OTHERS)
    config = network.config
    config.classifier_proj_size = width
    config.id2label = dict(enumerate(names))
    config.label2id = {label: number for number, label in enumerate(names)}
    network.projector = torch.nn.Linear(width, width)
    network.classifier = torch.nn.Linear(width, len(names))
    with torch.no_grad():
        network.projector.weight.copy_(torch.diag(1 / head.deviation))
        network.projector.bias.copy_(-head.mean / head.deviation)
        network.classifier.weight.copy_(head.weight)
        network.classifier.bias.copy_(head.bias)
    config._name_or_path = ""  # would tell where it was made
    network.save_pretrained(folder)
    extractor.save_pretrained(folder)
    for file in folder.iterdir():
        os.chmod(file, 0o644)  # safetensors writes for the owner only, and the daemon may be another user


def _told(what: str, items: list[Any]) -> Iterator[Any]:
    """The items, and every second a line about how many of them are done."""
    told = 0.0
    for done, item in enumerate(items):
        if time.monotonic() - told >= TELL_SECONDS:
            told = time.monotonic()
            print(f"{what}: {done / len(items):.0%}", flush=True)
        yield item
    print(f"{what}: 100%", flush=True)


if __name__ == "__main__":
    sys.exit(main())
