"""Train, calibrate, save and report a model; the emotion and the sound model share this."""

from __future__ import annotations

import argparse
import copy
import json
import logging
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from transformers import PreTrainedModel, WhisperFeatureExtractor

from earmark.worker.cnn import EarmarkCnnConfig, EarmarkCnnForAudioClassification
from training.crossed.calibrate import fold_in
from training.crossed.card import write_card
from training.crossed.report import Figures, crossed_figures
from training.crossed.study import Strain, Study
from training.crossed.validate import run, together
from training.data.audio import Samples, load
from training.data.corpora import read_noises
from training.data.hearings import Hearing, Roughness
from training.data.recordings import Recording
from training.data.spectra import Spectra
from training.models.judge import forward_time
from training.models.loop import Budget, Learner, Tuning
from training.models.network import save
from training.models.options import device_of, name_of
from training.models.pictures import draw_confusion, draw_losses

log = logging.getLogger(__name__)

CONDITIONS = {
    "20 dB softer": Roughness(speed=(1, 1), room=0, noise=0, floor_db=(-90, -90), gain_db=(-20, -20)),
    "noise 20 dB below": Roughness(speed=(1, 1), room=0, noise=1, snr_db=(20, 20), gain_db=(0, 0)),
    "noise 10 dB below": Roughness(speed=(1, 1), room=0, noise=1, snr_db=(10, 10), gain_db=(0, 0)),
    "in a simulated room": Roughness(speed=(1, 1), room=1, noise=0, gain_db=(0, 0)),
}
"""Conditions other than as recorded, in which each model is judged."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The parameters in which the models differ. Averages are over the first `judged` labels."""

    name: str
    labels: tuple[str, ...]
    judged: int
    extractor: WhisperFeatureExtractor
    roughness: Roughness
    strain: Strain
    tuning: Tuning
    widths: tuple[int, ...]

    @property
    def frames(self) -> int:
        """The frames of a window."""
        return int(self.extractor.nb_max_frames)

    def build(self) -> PreTrainedModel:
        """Return an untrained network."""
        config = EarmarkCnnConfig(
            num_mel_bins=self.extractor.feature_size,
            widths=self.widths,
            id2label=dict(enumerate(self.labels)),
            label2id={label: number for number, label in enumerate(self.labels)},
            problem_type="single_label_classification",
        )
        return EarmarkCnnForAudioClassification(config).to(memory_format=torch.channels_last)


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
        build=plan.build,
        batch=options.batch,
        seed=options.seed,
    )
    budget = Budget(options.minutes / options.members, options.steps, options.look_every)
    device = device_of(options.device)
    runs = []
    for number in range(options.members):
        study = replace(study, seed=options.seed + number)
        runs.append(run(study, budget, len(plan.labels), options.out / member(number), device))
    learners, model = [learner for learner, *_ in runs], assembled([model for _, model, _ in runs])
    figures = crossed_figures(study, together([unheard for *_, unheard in runs]), plan.labels, groups, plan.judged)
    chosen = figures["calibration"]["temperature"]
    save_half(tempered(model, chosen), plan.extractor, options.out)
    if options.twins:
        for fold in sorted(set(folds)):
            others = [model_of(plan, options.out / member(number), fold) for number in range(options.members)]
            save_half(tempered(assembled(others), chosen), plan.extractor, options.twins / f"fold-{fold}")
    figures |= forward_time(options.out)
    figures["training"] = training_facts(model, learners, recordings, options, name_of(device))
    (options.out / "evaluation.json").write_text(json.dumps(figures, indent=1) + "\n")
    options.reports.mkdir(parents=True, exist_ok=True)
    draw_losses(learners[0].progress.history, options.reports / "history.png")
    draw_confusion(
        torch.tensor(figures["confusion"]["rows_are_truth"]).numpy(), plan.labels, options.reports / "confusion.png"
    )
    write_card(plan.name, options.out / "README.md", figures)
    for number in range(options.members):
        shutil.rmtree(options.out / member(number))
    log.info("kept out: %s, calibration: %s", figures["unheard"], figures["calibration"])
    return figures


def member(number: int) -> str:
    """Return the folder, within that of the model, in which a member's run keeps its state."""
    return f"unfinished-{number + 1}"


def assembled(models: Sequence[PreTrainedModel]) -> PreTrainedModel:
    """Return one model that averages the members' logits."""
    first, *_ = models
    config = copy.deepcopy(first.config)
    config.members = len(models)
    whole = EarmarkCnnForAudioClassification(config)
    for mine, theirs in zip(whole.members, (model.members[0] for model in models), strict=True):
        mine.load_state_dict(theirs.state_dict())
    return whole.eval()


def model_of(plan: Plan, run: Path, fold: int) -> PreTrainedModel:
    """Return the model that has not heard this fold, from the files of a run."""
    model = plan.build()
    model.load_state_dict(torch.load(run / f"fold-{fold}.pt", weights_only=True)["kept"])
    return model


def tempered(model: PreTrainedModel, temperature: float) -> PreTrainedModel:
    """Fold the temperature into all members."""
    for network in model.members:
        fold_in(network.classifier, temperature)
    return model


def save_half(model: PreTrainedModel, extractor: WhisperFeatureExtractor, folder: Path) -> None:
    """Save weights of 16 bits, which every reader turns into 32 bits again. The scores are the same to within 0.01."""
    save(model.half(), extractor, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"dtype": "float32"}, indent=2) + "\n")


def listen(
    plan: Plan, recordings: Sequence[Recording], noises: Sequence[Samples], hearings: int, seed: int
) -> tuple[Spectra, dict[str, Spectra]]:
    """Return the spectra to learn from, and those of the conditions to be judged in."""
    spectra = Hearing(plan.extractor, noises, plan.roughness, seed).spectra(recordings, hearings)
    conditions = {
        name: Hearing(plan.extractor, noises, roughness, seed).variants_only(recordings)
        for name, roughness in CONDITIONS.items()
    }
    log.info("%d recordings are in memory", len(recordings))
    return spectra, conditions


def training_facts(
    model: PreTrainedModel,
    learners: Sequence[Learner],
    recordings: Sequence[Recording],
    options: argparse.Namespace,
    device: str,
) -> Figures:
    """Return what evaluation.json has about the training of the shipped model."""
    return {
        "steps": learners[0].progress.steps,
        "steps_of_a_fold": options.steps,
        "minutes": round(sum(other.progress.seconds for other in learners) / 60, 1),
        "members": options.members,
        "parameters": sum(p.numel() for p in model.parameters()),
        "batch": options.batch,
        "seed": options.seed,
        "hearings": options.hearings,
        "device": device,
        "recordings": dict(Counter(recording.corpus for recording in recordings)),
    }
