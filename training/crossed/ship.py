"""Train, calibrate, save and report a model; the emotion and the sound model share this."""

from __future__ import annotations

import argparse
import json
import logging
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedModel, WhisperFeatureExtractor

from training.crossed.calibrate import fold_in
from training.crossed.card import write_card
from training.crossed.report import Figures, crossed_figures
from training.crossed.settle import Settling
from training.crossed.study import Strain, Study
from training.crossed.validate import PLAIN, Unheard, run, without
from training.data.audio import Samples, load
from training.data.corpora import read_noises
from training.data.features import LogMel
from training.data.hearings import Hearings, Roughness
from training.data.noises import noise_bank
from training.data.recordings import Recording
from training.data.spectra import Spectra
from training.models.base import base_file, read_encoder
from training.models.judge import forward_time
from training.models.loop import Budget, Learner, Tuning
from training.models.network import build, save
from training.models.options import device_of, name_of
from training.models.pictures import draw_confusion, draw_losses

log = logging.getLogger(__name__)

UNFINISHED = "unfinished"
"""The folder, within that of the model, in which a run keeps its state."""

CONDITIONS = {
    "20 dB softer": Roughness(speed=(1, 1), room=0, noise=0, floor_db=(-90, -90), gain_db=(-20, -20)),
    "noise 20 dB below": Roughness(speed=(1, 1), room=0, noise=1, snr_db=(20, 20), gain_db=(0, 0)),
    "noise 10 dB below": Roughness(speed=(1, 1), room=0, noise=1, snr_db=(10, 10), gain_db=(0, 0)),
    "in a simulated room": Roughness(speed=(1, 1), room=1, noise=0, gain_db=(0, 0)),
}
"""Conditions other than as recorded, in which each model is judged."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The parameters in which the models differ. Averages are over the first `judged` labels.

    With `judged_by` the figures are of the recordings of that corpus, and the others are judged apart from them.
    """

    name: str
    labels: tuple[str, ...]
    judged: int
    extractor: WhisperFeatureExtractor
    roughness: Roughness
    strain: Strain
    tuning: Tuning
    judged_by: str = ""
    settling: Settling | None = None
    gentle: Strain | None = None

    @property
    def frames(self) -> int:
        """The frames of a window."""
        return int(self.extractor.nb_max_frames)


def ship(
    plan: Plan,
    recordings: Sequence[Recording],
    folds: Sequence[int],
    shares: Sequence[float],
    groups: Sequence[str],
    options: argparse.Namespace,
) -> Figures:
    """Make the model's folder from recordings. Returns the figures of evaluation.json."""
    torch.set_flush_denormal(True)
    encoder = read_encoder(options.base or base_file())
    noises = [load(path) for path in read_noises(options.data)]
    spectra, conditions = listen(plan, recordings, noises, options.hearings, options.seed)
    study = Study(
        spectra=spectra,
        conditions=conditions,
        truth=torch.tensor([plan.labels.index(recording.label) for recording in recordings]),
        folds=torch.tensor(folds),
        shares=torch.tensor(shares),
        width=plan.frames,
        strain=plan.strain,
        tuning=plan.tuning,
        build=lambda: build(plan.labels, encoder, plan.frames, layers=True),
        batch=options.batch,
        seed=options.seed,
        noise=noise_of(plan, options.data) if plan.strain.noise else None,
        settling=plan.settling,
        gentle=plan.gentle,
    )
    budget = Budget(options.minutes, options.steps, options.look_every)
    device, kept = device_of(options.device), options.out / UNFINISHED
    learner, model, unheard = run(study, budget, len(plan.labels), kept, device, options.beside)
    corpora = [recording.corpus for recording in recordings]
    mine = [plan.judged_by in ("", corpus) for corpus in corpora]
    figures = crossed_figures(*chosen_of(mine, study, unheard, groups), plan.labels, plan.judged)
    chosen = figures["calibration"]["temperature"]
    if plan.judged_by:
        figures["others"] = others(study, unheard[PLAIN].scores(chosen), corpora, plan.judged_by)
    save(tempered(model.cpu(), chosen), plan.extractor, options.out)
    if options.twins:
        for fold in sorted(set(folds)):
            # The run is complete, so that this only reads its model, and settles it again
            _, twin = without(study, fold, lambda _: {}, budget, len(plan.labels), kept, device)
            save(tempered(twin.cpu(), chosen), plan.extractor, options.twins / f"fold-{fold}")
    figures |= forward_time(options.out)
    figures["training"] = training_facts(model, learner, recordings, options, name_of(device))
    (options.out / "evaluation.json").write_text(json.dumps(figures, indent=1) + "\n")
    options.reports.mkdir(parents=True, exist_ok=True)
    draw_losses(learner.progress.history, options.reports / "history.png")
    draw_confusion(
        torch.tensor(figures["confusion"]["rows_are_truth"]).numpy(), plan.labels, options.reports / "confusion.png"
    )
    write_card(plan.name, options.out / "README.md", figures)
    shutil.rmtree(kept)
    log.info("kept out: %s, calibration: %s", figures["unheard"], figures["calibration"])
    return figures


def noise_of(plan: Plan, data: Path) -> Tensor:
    """Return the spectra of all noise to train with, end to end."""
    return LogMel(plan.extractor).mels(noise_bank(data, "train")[None])[0].T.half()


def chosen_of(
    mine: Sequence[bool], study: Study, unheard: dict[str, Unheard], groups: Sequence[str]
) -> tuple[Study, dict[str, Unheard], list[str]]:
    """Return the study, the answers and the groups of the recordings that are `mine`."""
    rows = torch.tensor(mine).nonzero()[:, 0]
    kept = replace(study, truth=study.truth[rows], folds=study.folds[rows])
    answers = {condition: answer.of(rows) for condition, answer in unheard.items()}
    return kept, answers, [group for group, kept in zip(groups, mine, strict=True) if kept]


def others(study: Study, scores: Tensor, corpora: Sequence[str], but: str) -> Figures:
    """Return how many recordings of each other corpus get another label than their own, and by what score."""
    wrong = scores.argmax(1) != study.truth
    best = scores.amax(1)
    figures: Figures = {}
    for corpus in sorted({*corpora} - {but}):
        of = torch.tensor([name == corpus for name in corpora])
        figures[corpus] = {
            "recordings": int(of.sum()),
            "other_label": int((of & wrong).sum()),
            "other_label_from_0.5": int((of & wrong & (best >= 0.5)).sum()),
        }
    return figures


def tempered(model: PreTrainedModel, temperature: float) -> PreTrainedModel:
    """Fold the temperature into the classifier."""
    fold_in(model.classifier, temperature)
    return model


def listen(
    plan: Plan, recordings: Sequence[Recording], noises: Sequence[Samples], hearings: int, seed: int
) -> tuple[Spectra, dict[str, Spectra]]:
    """Return the spectra to learn from, and those of the conditions to be judged in."""
    spectra = Hearings(plan.extractor, noises, plan.roughness, seed, hearings).spectra(recordings)
    conditions = {
        name: Hearings(plan.extractor, noises, roughness, seed).spectra(recordings)
        for name, roughness in CONDITIONS.items()
    }
    log.info("%d recordings are in memory", len(recordings))
    return spectra, conditions


def training_facts(
    model: PreTrainedModel,
    learner: Learner,
    recordings: Sequence[Recording],
    options: argparse.Namespace,
    device: str,
) -> Figures:
    """Return what evaluation.json has about the training of the shipped model."""
    return {
        "steps": learner.progress.steps,
        "steps_of_a_fold": options.steps,
        "minutes": round(learner.progress.seconds / 60, 1),
        "parameters": sum(p.numel() for p in model.parameters()),
        "batch": options.batch,
        "seed": options.seed,
        "hearings": options.hearings,
        "device": device,
        "recordings": dict(Counter(recording.corpus for recording in recordings)),
    }
