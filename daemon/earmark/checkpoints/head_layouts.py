"""The layouts of heads, told apart by the names of their weights.

Fine-tuned models of the wav2vec2 family often have a head of their author's own instead of transformers'. The stock
class ignores such a head and fills its own with random numbers, and then every label scores the same.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Literal

from earmark.checkpoints.checkpoint import CLAP

Head = Literal["stock", "affine", "tanh"]
"""`stock` is transformers' own head. The others work on the mean over the frames:

`affine`  classifier.dense, then classifier.output with nothing between: the recommended emotion model,
          ehcalabres/wav2vec2-lg-xlsr-en-speech-emotion-recognition
`tanh`    classifier.dense, tanh, classifier.out_proj: m3hrdadfi/soxan, models trained with it, audeering's regressions
"""

SPECTROGRAM = "audio-spectrogram-transformer"
WITHOUT_FRAMES = (SPECTROGRAM, "whisper")  # their stock heads are built otherwise
LAYERS = {
    "stock": ("projector", "classifier"),
    "affine": ("classifier.dense", "classifier.output"),
    "tanh": ("classifier.dense", "classifier.out_proj"),
    "spectrogram": ("classifier.layernorm", "classifier.dense"),
}
"""The layers of each head; the last one gives the scores."""


OF_CLAP = (
    "logit_scale_a",
    *(f"{tower}_projection.{layer}.weight" for tower in ("audio", "text") for layer in ("linear1", "linear2")),
)
"""Weights of a model that takes its labels at run time: what makes vectors of both towers."""


def head(model_type: str, names: Collection[str]) -> Head:
    """Return the head that has weights of these `names`. Missing weights show when it is loaded."""
    if model_type not in WITHOUT_FRAMES and "classifier.dense.weight" in names:
        if "classifier.output.weight" in names:
            return "affine"
        if "classifier.out_proj.weight" in names:
            return "tanh"
    return "stock"


def wrong_head(model_type: str, shapes: Mapping[str, Sequence[int]], labels: int) -> str:
    """Return why a checkpoint with weights of these `shapes` has no head for so many labels, or an empty string.

    Every head that passes is loaded; whether the rest of the network is whole shows only then.
    """
    if model_type == CLAP:
        missing = set(OF_CLAP) - shapes.keys()
        return f"the checkpoint does not hold the weights {', '.join(sorted(missing))}" if missing else ""
    kind = "spectrogram" if model_type == SPECTROGRAM else head(model_type, shapes)
    layers = LAYERS[kind]
    wanted = {f"{layer}.{part}" for layer in layers for part in ("weight", "bias")}
    if missing := wanted - shapes.keys():
        return f"the checkpoint does not hold the weights {', '.join(sorted(missing))}"
    if unknown := {name for name in shapes if name.startswith(("classifier.", "projector."))} - wanted:
        return f"the checkpoint has a head unknown here, with the weights {', '.join(sorted(unknown))}"
    scores = shapes[f"{layers[-1]}.weight"][0]
    if scores != labels:
        return f"its head gives {scores} scores, but config.json names {labels} labels"
    return ""
