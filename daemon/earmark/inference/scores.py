"""Turn logits into scores, and scores into ranked labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from earmark.audio.types import Floats
from earmark.checkpoints.checkpoint import Part, Scoring
from earmark.config.settings import Function
from earmark.errors import WorkerError
from earmark.protocol.events import Score


def softmax(logits: Floats) -> Floats:
    """Return probabilities that sum to one along the last axis."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    result: Floats = powers / powers.sum(axis=-1, keepdims=True)
    return result


def sigmoid(logits: Floats) -> Floats:
    """Return each label's own probability. Computed with tanh, because exp(-x) overflows for large negative logits."""
    result: Floats = 0.5 * (1.0 + np.tanh(0.5 * logits))
    return result


def apply(scoring: Scoring, logits: Floats, model: str) -> Floats:
    """Return scores of shape (..., labels), float32. Raises WorkerError that names `model` if a logit is not finite."""
    logits = np.asarray(logits, dtype=np.float32)
    if not np.isfinite(logits).all():
        raise WorkerError(f"{model}: the model's answer is not finite (NaN or infinity)")
    parts = (Part(logits.shape[-1], scoring),) if isinstance(scoring, str) else scoring
    ends = np.cumsum([part.labels for part in parts])[:-1]
    pieces = np.split(logits, ends, axis=-1)
    return np.concatenate([_applied(part.function, each) for part, each in zip(parts, pieces, strict=True)], axis=-1)


def masses(scoring: Scoring, labels: int) -> tuple[int | None, ...]:
    """Return for each label the number of the part of 1 that it shares with others, or None if its score is its own."""
    parts = (Part(labels, scoring),) if isinstance(scoring, str) else scoring
    return tuple(
        number if part.function == "softmax" else None for number, part in enumerate(parts) for _ in range(part.labels)
    )


def _applied(function: Function, logits: Floats) -> Floats:
    match function:
        case "softmax":
            return softmax(logits)
        case "sigmoid":
            return sigmoid(logits)
        case "none":
            return logits


def ranked(labels: Sequence[str], scores: Floats, top_k: int | None = None) -> tuple[Score, ...]:
    """Return the `top_k` best labels of one row, best first; all if None. Equal scores keep the order of the labels."""
    order = np.argsort(-scores, kind="stable")[:top_k]
    return tuple(Score(score=float(scores[index]), label=labels[index]) for index in order)
