"""The layouts of heads, told apart by the names of their weights.

Fine-tuned models of the wav2vec2 family often have a head of their author's own instead of transformers'. The stock
class ignores such a head and fills its own with random numbers, and then every label scores the same.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from earmark.checkpoints.checkpoint import CLAP, NAMELESS, Part

Head = Literal["stock", "spectrogram", "affine", "tanh", "age and gender", "attention", "normed"]
"""`stock` is transformers' own head, and `spectrogram` that of AST. The others work on the frames of the network:

`affine`          their mean, classifier.dense, then classifier.output with nothing between: the recommended emotion
                  model, ehcalabres/wav2vec2-lg-xlsr-en-speech-emotion-recognition
`tanh`            their mean, classifier.dense, tanh, classifier.out_proj: m3hrdadfi/soxan, models trained with it,
                  audeering's regressions
`age and gender`  their mean, then two heads of the kind before: `age`, a regression from 0 to 1 that stands for 0 to
                  100 years, and `gender`, softmax over three: audeering/wav2vec2-large-robust-24-ft-age-gender
`attention`       their weighted mean (the weights: pool_attention, two layers with tanh between, softmax over time),
                  then three layers with GELU and one LayerNorm, and a sigmoid: pipecat-ai/smart-turn-v2. The author
                  pads to 16 s, and so must the network be, because its first layer is normed over time
`normed`          normed over time and width together, their mean, one linear map without bias: SpeechBrain's
                  `output_norm`, as earmark/foreign/speechbrain.py converts it
"""

WITHOUT_FRAMES: Mapping[str, Head] = {"audio-spectrogram-transformer": "spectrogram", "whisper": "stock"}
"""The model types that have no author's own heads, because they have no frames of the same kind."""

AGE_AND_GENDER = ("age", "female", "male", "child")
"""The labels if config.json names none. That of audeering names the last three, in the order of the weights."""

COMPLETE = "complete"  # the probability that the speaker has finished, in the words of smart-turn
PADDED_SECONDS = 16.0  # to which it was trained and is run by its author


def _as_named(named: tuple[str, ...]) -> tuple[str, ...]:
    return named


def _with_age(named: tuple[str, ...]) -> tuple[str, ...]:
    """Put the age before the labels that config.json names, which are those of the other head."""
    if len(named) == len(AGE_AND_GENDER) - 1:
        return ("age", *named)
    return named if len(named) == len(AGE_AND_GENDER) else AGE_AND_GENDER


def _one(named: tuple[str, ...]) -> tuple[str, ...]:
    """Return the one label. config.json has none, or the two of transformers' default."""
    return named if len(named) == 1 and not NAMELESS.fullmatch(named[0]) else (COMPLETE,)


@dataclass(frozen=True, slots=True)
class Layout:
    """A head's layers, and those of them that give scores, in the order of the labels."""

    layers: tuple[str, ...]
    scores: tuple[str, ...]
    has_bias: bool = True
    labels: Callable[[tuple[str, ...]], tuple[str, ...]] = _as_named  # of those that config.json names
    parts: tuple[Part, ...] = ()
    padded_seconds: float = 0.0  # to which every window is padded; 0: to none

    @property
    def weights(self) -> set[str]:
        """The names of all its weights."""
        return {f"{layer}.{part}" for layer in self.layers for part in ("weight", "bias")[: 1 + self.has_bias]}


LAYOUTS: Mapping[Head, Layout] = {
    "stock": Layout(("projector", "classifier"), ("classifier",)),
    "spectrogram": Layout(("classifier.layernorm", "classifier.dense"), ("classifier.dense",)),
    "affine": Layout(("classifier.dense", "classifier.output"), ("classifier.output",)),
    "tanh": Layout(("classifier.dense", "classifier.out_proj"), ("classifier.out_proj",)),
    "age and gender": Layout(
        ("age.dense", "age.out_proj", "gender.dense", "gender.out_proj"),
        ("age.out_proj", "gender.out_proj"),
        labels=_with_age,
        parts=(Part(1, "none"), Part(3, "softmax")),
    ),
    "attention": Layout(
        ("pool_attention.0", "pool_attention.2", "classifier.0", "classifier.1", "classifier.4", "classifier.6"),
        ("classifier.6",),
        labels=_one,
        padded_seconds=PADDED_SECONDS,
    ),
    "normed": Layout(("output_mlp",), ("output_mlp",), has_bias=False),
}
MARKS: Mapping[Head, set[str]] = {
    "affine": {"classifier.dense.weight", "classifier.output.weight"},
    "tanh": {"classifier.dense.weight", "classifier.out_proj.weight"},
    "age and gender": {"age.out_proj.weight"},
    "attention": {"pool_attention.0.weight"},
    "normed": {"output_mlp.weight"},
}
"""The weights by which each author's own head is known."""

PREFIXES = ("classifier.", "projector.", "age.", "gender.", "pool_attention.", "output_mlp.")
"""How the names of a head's weights begin."""

OWN_CLASSES = ("Wav2Vec2ForEndpointing",)
"""Classes of authors whose names look like those of transformers' own for other tasks."""

OF_CLAP = (
    "logit_scale_a",
    *(f"{tower}_projection.{layer}.weight" for tower in ("audio", "text") for layer in ("linear1", "linear2")),
)
"""Weights of a model that takes its labels at run time: what makes vectors of both towers."""


def head(model_type: str, names: Collection[str]) -> Head:
    """Return the head that has weights of these `names`. Missing weights show when it is loaded."""
    if model_type in WITHOUT_FRAMES:
        return WITHOUT_FRAMES[model_type]
    return next((kind for kind, marks in MARKS.items() if marks <= set(names)), "stock")


def wrong_head(model_type: str, shapes: Mapping[str, Sequence[int]], labels: int) -> str:
    """Return why a checkpoint with weights of these `shapes` has no head for so many labels, or an empty string.

    Every head that passes is loaded; whether the rest of the network is whole shows only then.
    """
    if model_type == CLAP:
        missing = set(OF_CLAP) - shapes.keys()
        return f"the checkpoint does not hold the weights {', '.join(sorted(missing))}" if missing else ""
    layout = LAYOUTS[head(model_type, shapes)]
    if missing := layout.weights - shapes.keys():
        return f"the checkpoint does not hold the weights {', '.join(sorted(missing))}"
    if unknown := {name for name in shapes if name.startswith(PREFIXES)} - layout.weights:
        return f"the checkpoint has a head unknown here, with the weights {', '.join(sorted(unknown))}"
    scores = sum(shapes[f"{layer}.weight"][0] for layer in layout.scores)
    if scores != labels:
        return f"its head gives {scores} scores, but config.json names {labels} labels"
    return ""
