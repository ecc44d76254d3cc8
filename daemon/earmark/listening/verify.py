"""From the settings of a second look and the checkpoint of its model to what a detector needs of both."""

from __future__ import annotations

from collections.abc import Sequence

from earmark.checkpoints.checkpoint import Checkpoint, Part
from earmark.config import settings as config
from earmark.detection.second import SecondModel, second_model, wrong_pairs
from earmark.errors import ConfigError
from earmark.inference.scores import masses
from earmark.windowing.windows import Lengths


def second(
    where: str,
    settings: config.Classifier,
    verify: config.Verify,
    labels: Sequence[str],
    first: Checkpoint,
    other: Checkpoint,
    lengths: Lengths,
) -> SecondModel:
    """Return the second model of a classifier with these `labels`, whose windows are cut at the rate of `first`.

    Raises ConfigError, which names the setting `where`, if it cannot look at the windows or confirms no label.
    """
    if other.name == first.name:
        raise ConfigError(f"{where}.verify.model: {other.name} is the model of the classifier; another one must look")
    if other.takes_labels:
        raise ConfigError(f"{where}.verify.model: {other.name} takes its labels at run time and cannot confirm any")
    values = _without_probability(other)
    if values and values == {*other.labels}:
        raise ConfigError(
            f"{where}.verify.model: the scores of {other.name} are no probabilities (function: {other.function_told}),"
            " so they confirm nothing; a model is needed whose scores are (sigmoid, or softmax over several labels)"
        )
    if other.rate > first.rate:
        raise ConfigError(
            f"{where}.verify.model: {other.name} takes sound of {other.rate} Hz, and the windows of {first.name} have"
            f" {first.rate} Hz; take one of {first.rate} Hz or less"
        )
    longest = lengths.limit if settings.mode == "utterance" else lengths.window
    most = other.window or other.limit
    if most and longest * other.rate > most * first.rate:
        setting = "max_window" if settings.mode == "utterance" else "window"
        raise ConfigError(
            f"{where}.verify.model: {other.name} takes {most / other.rate:g} s at most, and windows have up to"
            f" {longest / first.rate:g} s; set `{setting}`"
        )
    for wrong in wrong_pairs(labels, other.labels, verify.labels, settings.name, other.name, values):
        raise ConfigError(f"{where}.verify.{wrong}")
    return second_model(
        other.name,
        other.rate,
        other.minimum,
        labels,
        other.labels,
        verify.labels,
        masses(other.scoring, len(other.labels)),
    )


def _without_probability(checkpoint: Checkpoint) -> set[str]:
    """Return the labels whose scores are no probabilities: values, bare logits, and a softmax over one label, always 1.

    A number of 0.9 for an age says nothing of whether what the other model heard is there.
    """
    scoring, labels = checkpoint.scoring, checkpoint.labels
    parts = (Part(len(labels), scoring),) if isinstance(scoring, str) else scoring
    is_one = [
        part.function == "sigmoid" or (part.function == "softmax" and part.labels > 1)
        for part in parts
        for _ in range(part.labels)
    ]
    return {label for label, probable in zip(labels, is_one, strict=True) if not probable}
