"""A checkpoint, as the daemon needs to know it before torch loads its weights."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import NamedTuple

from earmark.config.settings import Function
from earmark.errors import ModelSettingError

CLAP = "clap"
"""The model type of a network for sounds and one for texts that meet in one space, so that a text may be a label."""

COMMIT = re.compile(r"[0-9a-f]{40}")
"""A commit of the Hugging Face Hub, in full."""


IN_A_SENTENCE, IN_A_LINE = 5, 20  # labels at most that are told

ENCODES_ALL = ("whisper", "audio-spectrogram-transformer", CLAP)
"""The architectures whose encoder works on the longest input, whatever it is given: short sound is padded."""

LONG_SECONDS = 10.0  # of such an input, from which on its price is worth a remark

NAMELESS = re.compile(r"LABEL_[0-9]+")
"""A label of a checkpoint whose author named none: transformers numbers them."""


class Part(NamedTuple):
    """Labels beside each other in a model's answer whose logits become scores together: so many, by which function."""

    labels: int
    function: Function


Scoring = Function | tuple[Part, ...]
"""How logits become scores: by one function over all labels, or by one for each part of them."""


def default_function(problem_type: str | None) -> Function:
    """Return the function that transformers applies to the logits of a checkpoint of this `problem_type`."""
    match problem_type:
        case "multi_label_classification":
            return "sigmoid"
        case "regression":
            return "none"
        case _:
            return "softmax"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint that Earmark can try to load. Lengths are in samples at `rate` Hz.

    `path` is its folder. `window` is the one length that the model always works on (Whisper pads to it), None if it
    takes any. `limit` is the longest input in one go, None if only memory limits it; `minimum` is the shortest.
    `parts` are those of a head whose labels do not all become scores by one function, and `is_padded` tells of one that
    pads every window to the limit. `function` and `own_labels` come
    from named(): what the settings say, and the labels that config.json has in that case.
    `revision` is the commit if the folder is a snapshot of the Hub's cache or comes from `earmark pull`, else empty.
    There are no `labels` where it `takes_labels`.
    """

    name: str
    path: str
    labels: tuple[str, ...]
    rate: int
    model_type: str
    problem_type: str | None
    window: int | None
    limit: int | None
    minimum: int
    revision: str = ""
    licence: str = ""
    parts: tuple[Part, ...] = ()
    is_padded: bool = False
    function: Function | None = None
    own_labels: tuple[str, ...] = ()

    @property
    def takes_labels(self) -> bool:
        """Whether its labels are texts that are given at run time."""
        return self.model_type == CLAP

    @property
    def usual_length(self) -> int:
        """The number of samples that a window will probably have: the model's own length, else one second."""
        return self.window or max(self.minimum, min(self.rate, self.limit or self.rate))

    @property
    def scoring(self) -> Scoring:
        """How its logits become scores, unless a request asks for another function."""
        return self.scored_by(self.function)

    def scored_by(self, function: Function | None) -> Scoring:
        """Return how its logits become scores with a `function`; None: its own.

        In an answer of several parts the function is applied within each, and values stay values.
        """
        chosen = function or self.function
        if self.takes_labels:
            return "none"  # vectors, which a head makes scores of
        if not self.parts:
            return chosen or default_function(self.problem_type)
        if chosen is None:
            return self.parts
        return tuple(part if part.function == "none" else part._replace(function=chosen) for part in self.parts)

    @property
    def function_told(self) -> str:
        """How its logits become scores, for people."""
        return "softmax" if self.takes_labels else told(self.scoring, self.labels)

    @property
    def values(self) -> tuple[str, ...]:
        """The labels whose scores are quantities (an age, an arousal) and no probabilities: those of a regression."""
        if not self.parts:
            return self.labels if self.problem_type == "regression" and self.scoring == "none" else ()
        functions = [part.function for part in self.parts for _ in range(part.labels)]
        return tuple(label for label, function in zip(self.labels, functions, strict=True) if function == "none")

    @property
    def remarks(self) -> tuple[str, ...]:
        """What whoever runs the model should know and could change, in sentences."""
        found: list[str] = []
        if self.labels and all(NAMELESS.fullmatch(label) for label in self.labels):
            found.append(
                f"{self.name}: its labels have no names ({_listed(self.labels)});"
                f" set `labels` of its [[model]], {len(self.labels)} names in their order"
            )
        encoded = self.limit if self.is_padded or self.model_type in ENCODES_ALL else None
        if encoded and encoded >= LONG_SECONDS * self.rate:
            seconds = f"{encoded / self.rate:.4g} s"
            found.append(
                f"{self.name}: always encodes {seconds}, so a window of 1 s costs as much as one of {seconds};"
                " set a long `hop`, or use a model that encodes only what it is given (wav2vec2, HuBERT, WavLM)"
            )
        return tuple(found)

    @property
    def told(self) -> tuple[str, ...]:
        """What it answers and what it takes, in lines for people."""
        labels = [f"{label} (a value)" if label in self.values else label for label in self.labels]
        takes = f"{self.minimum / self.rate:.2g} s or more"
        if self.limit:
            takes += f", {self.limit / self.rate:.4g} s at most"
        if self.window:
            takes = f"{self.window / self.rate:.4g} s, to which shorter ones are padded"
        answers = f"{len(labels)} label{'s' if len(labels) > 1 else ''}: {_listed(labels, IN_A_LINE)}"
        if self.takes_labels:
            answers = "labels that it takes at run time, in words: those of a [[classifier]] or of a request"
        return (
            f"answers with {answers}",
            f"function: {self.function_told}",
            f"takes sound of {self.rate} Hz, in windows of {takes}",
        )

    def named(self, labels: tuple[str, ...], function: Function | None, where: str) -> Checkpoint:
        """Return the checkpoint as the settings at `where` have it; an empty `labels` and None leave it as it is.

        Raises ModelSettingError, which names the setting, if there are not as many labels as the checkpoint has.
        """
        if self.takes_labels and (labels or function):
            raise ModelSettingError(
                f"{where}.{'labels' if labels else 'function'}: {self.name} takes its labels at run time, and softmax"
                " makes their scores; write `labels` into the [[classifier]] that names it"
            )
        own = self.own_labels or self.labels
        if labels and len(labels) != len(own):
            raise ModelSettingError(
                f"{where}.labels: {len(labels)} names, and {self.name} has {len(own)} labels ({_listed(own)})"
            )
        return replace(self, labels=labels or own, own_labels=own, function=function)


def told(scoring: Scoring, labels: Sequence[str]) -> str:
    """Return the scoring of an answer with these labels for people: `softmax`, or `none (age), softmax (male, ...)`."""
    if isinstance(scoring, str):
        return scoring
    rest = iter(labels)
    return ", ".join(f"{part.function} ({', '.join(islice(rest, part.labels))})" for part in scoring)


def _listed(labels: Sequence[str], most: int = IN_A_SENTENCE) -> str:
    return ", ".join(labels[:most]) + (", ..." if len(labels) > most else "")
