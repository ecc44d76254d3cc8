"""Turn logits into scores, and scores into ranked labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from earmark.audio.types import Floats
from earmark.errors import WorkerError
from earmark.protocol.events import Score

Function = Literal["softmax", "sigmoid", "none"]


def softmax(logits: Floats) -> Floats:
    """Return probabilities that sum to one along the last axis."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    result: Floats = powers / powers.sum(axis=-1, keepdims=True)
    return result


def sigmoid(logits: Floats) -> Floats:
    """Return each label's own probability. Computed with tanh, because exp(-x) overflows for large negative logits."""
    result: Floats = 0.5 * (1.0 + np.tanh(0.5 * logits))
    return result


def default_function(problem_type: str | None) -> Function:
    """Return the function that transformers applies to the logits of a checkpoint of this `problem_type`."""
    match problem_type:
        case "multi_label_classification":
            return "sigmoid"
        case "regression":
            return "none"
        case _:
            return "softmax"


def apply(function: Function, logits: Floats, model: str) -> Floats:
    """Return scores of shape (..., labels), float32. Raises WorkerError that names `model` if a logit is not finite."""
    logits = np.asarray(logits, dtype=np.float32)
    if not np.isfinite(logits).all():
        raise WorkerError(f"{model}: the model's answer is not finite (NaN or infinity)")
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
