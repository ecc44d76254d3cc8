"""The training loop: spend a budget of steps or minutes, and keep the best of the models that were judged on the way.

A run can be stopped at any time and continues from its last look, whose state is in one file. The learning rate depends
on the share of the budget that is spent. So a run by --steps repeats exactly on the same machine, and one by --minutes
only nearly.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from transformers import PreTrainedModel

log = logging.getLogger(__name__)

Batches = Callable[[], tuple[Tensor, Tensor]]
"""The next batch: features [batch, mels, frames] and target probabilities [batch, labels]."""

Look = Callable[[PreTrainedModel], dict[str, float]]
"""Judges a model and returns figures. `score` is the one to choose by; without it, the last model is kept."""


@dataclass(frozen=True, slots=True)
class Budget:
    """The minutes and steps of a run; it ends with the first of them that is spent."""

    minutes: float = math.inf
    steps: int = 1_000_000_000
    look_every: int = 250

    def spent(self, steps: int, seconds: float) -> float:
        """Return the share that is spent."""
        return min(1.0, max(steps / self.steps, seconds / 60 / self.minutes))


@dataclass(frozen=True, slots=True)
class Tuning:
    """Hyperparameters. `warm_up` is a share of the budget, `average` the decay of the moving average.

    `encoder` is the rate of the pretrained encoder's last layer as a share of the head's; each layer below it has
    `deeper` times that of the layer above (layer-wise decay, Howard and Ruder 2018).
    """

    rate: float = 1e-3
    encoder: float = 0.1
    deeper: float = 0.8
    warm_up: float = 0.04
    decay: float = 0.05
    average: float = 0.998
    smoothing: float = 0.05
    clip: float = 1.0

    def rate_at(self, spent: float) -> float:
        """Return the learning rate: it rises evenly during the warm-up, then falls as a half cosine."""
        if spent < self.warm_up:
            return self.rate * (spent / self.warm_up + 0.01)
        done = (spent - self.warm_up) / (1 - self.warm_up)
        return self.rate * 0.5 * (1 + math.cos(math.pi * done))


def groups_of(model: PreTrainedModel, tuning: Tuning) -> list[dict[str, Any]]:
    """Return the parameters in groups of one `share` of the rate each. Vectors (biases, norms) do not decay."""
    groups: dict[tuple[float, bool], list[Tensor]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            share = share_of(name, model.config.encoder_layers, tuning)
            groups.setdefault((share, parameter.ndim >= 2), []).append(parameter)
    return [
        {"params": parameters, "share": share, "weight_decay": tuning.decay if decays else 0.0}
        for (share, decays), parameters in groups.items()
    ]


def share_of(name: str, layers: int, tuning: Tuning) -> float:
    """Return the share of the rate with which a parameter of WhisperForAudioClassification learns."""
    match name.split("."):
        case ["encoder", "layers", number, *_]:
            return tuning.encoder * tuning.deeper ** (layers - 1 - int(number))
        case ["encoder", "layer_norm", *_]:
            return tuning.encoder
        case ["encoder", *_]:
            return tuning.encoder * tuning.deeper**layers
    return 1.0


@dataclass(slots=True)
class Progress:
    """The state of a run."""

    steps: int = 0
    seconds: float = 0.0
    best: float = -1.0
    best_step: int = 0
    history: list[dict[str, float]] = field(default_factory=list)


class Learner:
    """One run: a model, an optimizer, and a moving average of the model, which is judged and kept."""

    def __init__(
        self,
        model: PreTrainedModel,
        tuning: Tuning,
        generator: torch.Generator,
        state: Path,
    ) -> None:
        self.model, self.tuning, self.generator, self.state = model, tuning, generator, state
        average = get_ema_multi_avg_fn(tuning.average)  # type: ignore[no-untyped-call]  # torch's
        self.average = AveragedModel(model, multi_avg_fn=average, use_buffers=True)
        fused = model.device.type == "cuda"
        groups = groups_of(model, tuning)
        self.optimizer = torch.optim.AdamW(groups, lr=tuning.rate, betas=(0.9, 0.98), fused=fused)
        self.progress = Progress()
        self.kept: dict[str, Tensor] = {}

    def run(self, batches: Batches, look: Look, budget: Budget) -> PreTrainedModel:
        """Train until the budget is spent. Returns the best averaged model."""
        progress, began, losses = self.progress, time.monotonic() - self.progress.seconds, []
        while (spent := budget.spent(progress.steps, progress.seconds)) < 1:
            losses.append(self.step(*batches(), self.tuning.rate_at(spent)))
            progress.steps += 1
            progress.seconds = time.monotonic() - began
            if progress.steps % budget.look_every == 0:
                self.look(look, sum(losses) / len(losses), spent)
                losses = []
        if not self.kept or losses:
            self.look(look, sum(losses) / len(losses) if losses else math.nan, 1.0)
        best = self.averaged()
        best.load_state_dict(self.kept)
        return best

    def step(self, features: Tensor, targets: Tensor, rate: float) -> float:
        """Take one step with a batch. Returns the loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["share"]
        self.model.train()
        device = self.model.device
        with torch.autocast(device.type, torch.bfloat16):
            logits = self.model(input_features=features.to(device)).logits
        loss = functional.cross_entropy(logits.float(), targets.to(device), label_smoothing=self.tuning.smoothing)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.tuning.clip)
        self.optimizer.step()
        self.average.update_parameters(self.model)
        return float(loss.detach())

    def averaged(self) -> PreTrainedModel:
        """Return the moving average."""
        model = self.average.module
        assert isinstance(model, PreTrainedModel)
        return model.eval()

    def look(self, look: Look, loss: float, spent: float) -> None:
        """Judge the average, keep it if it is the best, and save the run."""
        progress = self.progress
        figures = look(self.averaged())
        progress.history.append({"step": progress.steps, "loss": loss, **figures})
        if (score := figures.get("score", math.inf)) >= progress.best:
            progress.best, progress.best_step = score, progress.steps
            self.kept = {k: v.clone() for k, v in self.averaged().state_dict().items()}
        shown = "  ".join(f"{name} {value:.3f}" for name, value in figures.items())
        log.info(
            "%5.1f %%  step %d  %.1f min  loss %.3f  %s  (best at %d)",
            100 * spent, progress.steps, progress.seconds / 60, loss, shown, progress.best_step,
        )  # fmt: skip
        self.save()

    def save(self) -> None:
        """Write the state file. It is complete under its name at any time."""
        saved: dict[str, Any] = {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "torch": torch.get_rng_state(),
            "progress": {name: getattr(self.progress, name) for name in Progress.__slots__},
            "kept": self.kept,
        }
        self.state.parent.mkdir(parents=True, exist_ok=True)
        partial = self.state.with_suffix(".partial")
        torch.save(saved, partial)
        partial.replace(self.state)

    def resume(self) -> bool:
        """Load the state file. Returns False if there is none."""
        if not self.state.exists():
            return False
        saved = torch.load(self.state, weights_only=True)
        self.model.load_state_dict(saved["model"])
        self.average.load_state_dict(saved["average"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.generator.set_state(saved["generator"])
        torch.set_rng_state(saved["torch"])
        self.progress = Progress(**saved["progress"])
        self.kept = saved["kept"]
        log.info("going on from step %d", self.progress.steps)
        return True
