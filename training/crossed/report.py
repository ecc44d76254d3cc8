"""The figures of a model that was judged by cross-validation, for evaluation.json and the card."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.crossed import calibrate
from training.crossed.study import Study
from training.crossed.validate import PLAIN, Unheard

Figures = dict[str, Any]
Numbers = NDArray[np.int64]


def recalls(right: NDArray[np.bool_], truth: Numbers, labels: int) -> NDArray[np.float64]:
    """Return the recall of each label."""
    clips = np.bincount(truth, minlength=labels)
    shares: NDArray[np.float64] = np.bincount(truth, weights=right, minlength=labels) / clips.clip(1)
    return shares


def recall_interval(
    right: NDArray[np.bool_], truth: Numbers, groups: Sequence[str], rounds: int = 5000
) -> tuple[float, float]:
    """Return the 95 % interval of the recall averaged over the labels, by a bootstrap that draws whole groups."""
    names, number = np.unique(np.asarray(groups), return_inverse=True)
    count = int(truth.max()) + 1
    hits, clips = np.zeros((len(names), count)), np.zeros((len(names), count))
    np.add.at(hits, (number, truth), right)
    np.add.at(clips, (number, truth), 1)
    drawn = np.random.default_rng(0).integers(len(names), size=(rounds, len(names)))
    total = clips[drawn].sum(1)
    there = total > 0
    shares = np.where(there, hits[drawn].sum(1) / total.clip(1), 0).sum(1) / there.sum(1)
    low, high = np.percentile(shares, [2.5, 97.5])
    return float(low), float(high)


def tempered(study: Study, unheard: Unheard) -> Tensor:
    """Return the scores of every recording, at the temperature that suits the other folds best.

    The temperature must not be chosen on the recordings that are judged.
    """
    scores = torch.zeros(len(study.truth), unheard.logits.shape[1])
    for fold in torch.unique(study.folds):
        others = (study.folds != fold).nonzero()[:, 0]
        rows = torch.isin(unheard.owners, others)
        clips = torch.searchsorted(others, unheard.owners[rows])
        suited = calibrate.temperature(unheard.logits[rows], study.truth[others], clips)
        scores[study.folds == fold] = unheard.scores(suited)[study.folds == fold]
    return scores


def crossed_figures(
    study: Study, unheard: dict[str, Unheard], groups: Sequence[str], labels: Sequence[str], judged: int
) -> Figures:
    """Return all figures of the models of the folds.

    Averages are over recordings of the first `judged` labels; the answers may be any label.
    """
    truth = study.truth.numpy()
    plain = unheard[PLAIN]
    scores = tempered(study, plain).numpy()
    said, kept = scores.argmax(1), truth < judged
    right = said == truth
    low, high = recall_interval(right[kept], truth[kept], [g for g, k in zip(groups, kept, strict=True) if k])
    return {
        "unheard": {
            "recall": share(recalls(right[kept], truth[kept], judged)),
            "accuracy": share(right[kept]),
            "interval_95": [round(low, 4), round(high, 4)],
            "clips": int(kept.sum()),
            "groups": len({g for g, k in zip(groups, kept, strict=True) if k}),
            "folds": [
                share(recalls(right[of], truth[of], judged)[np.unique(truth[of])])
                for of in (kept & (study.folds.numpy() == fold) for fold in torch.unique(study.folds).tolist())
            ],
        },
        "labels": {
            label: {
                "clips": int((truth == k).sum()),
                "recall": share(right[truth == k]),
                "precision": share(right[said == k]),
            }
            for k, label in enumerate(labels)
        },
        "conditions": {
            name: share(recalls((found.scores().numpy().argmax(1) == truth)[kept], truth[kept], judged))
            for name, found in unheard.items()
        },
        "calibration": {
            "error_untempered": round(calibrate.error(plain.scores().numpy(), truth), 4),
            "error": round(calibrate.error(scores, truth), 4),
            "temperature": round(calibrate.temperature(plain.logits, study.truth, plain.owners), 4),
        },
        **confused(truth, said, labels),
    }


def confused(truth: Numbers, said: Numbers, labels: Sequence[str]) -> Figures:
    """Return the table of confusions and the commonest of them."""
    table = np.zeros((len(labels), len(labels)), np.int64)
    np.add.at(table, (truth, said), 1)
    wrong = table - np.diag(np.diag(table))
    pairs = [np.unravel_index(flat, wrong.shape) for flat in np.argsort(-wrong, axis=None)[:8]]
    return {
        "confusion": {"labels": list(labels), "rows_are_truth": table.tolist()},
        "commonest_confusions": [
            {"said": labels[t], "heard": labels[a], "clips": int(wrong[t, a])} for t, a in pairs if wrong[t, a] > 1
        ],
    }


def share(values: NDArray[Any]) -> float:
    """Return the mean, rounded."""
    return round(float(values.mean()), 4) if len(values) else 0.0
