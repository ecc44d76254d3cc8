"""Cross-validation for small corpora: train a model on everything, which is shipped, then one for each fold, which is
judged on the groups that it has not heard.

Every model takes the same number of steps and its last moving average is kept, so that nothing is chosen on the
recordings that are judged. A run that was stopped continues with the model that it was training.
"""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedModel

from training.crossed.calibrate import averaged
from training.crossed.settle import settle
from training.crossed.study import Study, heard
from training.models.loop import Budget, Learner, Look

log = logging.getLogger(__name__)


@torch.inference_mode()
def logits_of(model: PreTrainedModel, features: Tensor) -> Tensor:
    """Return the model's logits for the windows."""
    parts = [model(input_features=part.to(model.device)).logits.float().cpu() for part in torch.split(features, 128)]
    return torch.cat(parts)


def balanced(scores: Tensor, truth: Tensor) -> float:
    """Return the recall averaged over the labels that occur."""
    right = (scores.argmax(1) == truth).float()
    return float(torch.stack([right[truth == label].mean() for label in torch.unique(truth)]).mean())


@dataclass(frozen=True, slots=True)
class Unheard:
    """Logits of the windows of every recording, from the model that was trained without its fold.

    `owners` has the recording of each window.
    """

    logits: Tensor
    owners: Tensor

    def scores(self, temperature: float = 1.0) -> Tensor:
        """Return the scores of each recording."""
        return averaged(self.logits / temperature, self.owners)

    def of(self, rows: Tensor) -> Unheard:
        """Return the answers for the recordings `rows`, which are in order."""
        mine = torch.isin(self.owners, rows)
        return Unheard(self.logits[mine], torch.searchsorted(rows, self.owners[mine]))


PLAIN = "as recorded"


def run(
    study: Study, budget: Budget, labels: int, out: Path, device: str, beside: bool = False
) -> tuple[Learner, PreTrainedModel, dict[str, Unheard]]:
    """Train on everything, then for every fold. Returns the former's learner and model, and the latter's answers by
    condition. With `beside` each is trained in a process of its own, all at the same time."""
    numbers = torch.unique(study.folds).tolist()
    everything = torch.arange(len(study.truth))
    each = budget if beside else replace(budget, minutes=budget.minutes / (len(numbers) + 1))
    all_of_them = partial(train, study, everything, lambda _: {}, each, labels, out / "whole.pt", device)
    folds = [partial(answers_of, study, fold, each, labels, out, device) for fold in numbers]
    if beside:
        apart([all_of_them, *folds])  # what they return is read from their files below
    learner, model = all_of_them()
    parts = [fold() for fold in folds]
    unheard = {condition: joined([part[condition] for part in parts]) for condition in parts[0]}
    log.info("all folds: balanced accuracy %.3f", balanced(unheard[PLAIN].scores(), study.truth))
    return learner, model, unheard


def apart(jobs: Sequence[Callable[[], object]]) -> None:
    """Do all jobs at the same time, in processes that have the memory of this one. Raises RuntimeError if one fails."""
    processes = [multiprocessing.get_context("fork").Process(target=job) for job in jobs]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        raise RuntimeError("a model could not be trained; its process has said why")


Part = tuple[Tensor, Tensor]


def joined(parts: Sequence[Part]) -> Unheard:
    """Put the answers of all folds together, in the order of the recordings."""
    owners, order = torch.cat([owners for _, owners in parts]).sort(stable=True)
    return Unheard(torch.cat([logits for logits, _ in parts])[order], owners)


def answers_of(study: Study, fold: int, budget: Budget, labels: int, out: Path, device: str) -> dict[str, Part]:
    """Return the logits of one fold's windows, and whose they are, from a model of the other folds.

    They are read from the file of an earlier run, if there is one.
    """
    done = out / f"fold-{fold}.answers.pt"
    if done.exists():
        found: dict[str, Part] = torch.load(done, weights_only=True)
        return found
    kept = (study.folds == fold).nonzero()[:, 0]
    features, owners = heard(study.spectra, kept, study.width)

    def look(model: PreTrainedModel) -> dict[str, float]:
        with torch.device("cpu"):
            return {f"fold {fold}": balanced(averaged(logits_of(model, features), owners), study.truth[kept])}

    _, model = without(study, fold, look, budget, labels, out, device)
    answers = {}
    for condition, spectra in {PLAIN: study.spectra, **study.conditions}.items():
        features, owners = heard(spectra, kept, study.width)
        answers[condition] = (logits_of(model, features), kept[owners])
    torch.save(answers, done)
    return answers


def without(
    study: Study, fold: int, look: Look, budget: Budget, labels: int, out: Path, device: str
) -> tuple[Learner, PreTrainedModel]:
    """Train without the recordings of a fold."""
    rest = (study.folds != fold).nonzero()[:, 0]
    return train(study, rest, look, budget, labels, out / f"fold-{fold}.pt", device)


def train(
    study: Study, which: Tensor, look: Look, budget: Budget, labels: int, state: Path, device: str
) -> tuple[Learner, PreTrainedModel]:
    """Train on the recordings `which`, from the file `state` on if it is there, and settle the model."""
    torch.manual_seed(study.seed)
    generator = torch.Generator(device).manual_seed(study.seed)
    learner = Learner(study.build().to(device), study.tuning, generator, state)
    pretrained = {name: weight.clone() for name, weight in learner.model.encoder.state_dict().items()}
    learner.resume()
    there = study.on(device)
    with torch.device(device):
        model = learner.run(there.batches(which.to(device), labels, generator), look, budget)
    if study.settling is not None:
        settle(model, pretrained, study.to_settle(which, labels, study.settling.batches), study.settling)
    return learner, model
