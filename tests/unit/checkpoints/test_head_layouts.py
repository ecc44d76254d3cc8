"""The layout of a checkpoint's head, by the names of its weights."""

from __future__ import annotations

import pytest

from earmark.checkpoints.head_layouts import head, wrong_head

STOCK = {"wav2vec2.masked_spec_embed", "projector.weight", "projector.bias", "classifier.weight", "classifier.bias"}
DENSE = {"classifier.dense.weight", "classifier.dense.bias"}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (STOCK, "stock"),
        (DENSE | {"classifier.output.weight", "classifier.output.bias"}, "affine"),
        (DENSE | {"classifier.out_proj.weight", "classifier.out_proj.bias"}, "tanh"),
        (DENSE, "stock"),
        ({"classifier.output.weight"}, "stock"),
        (set[str](), "stock"),
    ],
)
def test_the_names_tell_the_head(names: set[str], expected: str) -> None:
    assert head("wav2vec2", names) == expected


@pytest.mark.parametrize("model_type", ["audio-spectrogram-transformer", "whisper"])
def test_models_without_frames_have_stock_heads(model_type: str) -> None:
    assert head(model_type, DENSE | {"classifier.output.weight"}) == "stock"


def shapes(*layers: str, labels: int = 5) -> dict[str, tuple[int, ...]]:
    """The shapes of a network's body and of these layers; the last one gives scores for `labels` labels."""
    found: dict[str, tuple[int, ...]] = {"encoder.weight": (32, 32)}
    for layer in layers:
        rows = labels if layer == layers[-1] else 32
        found |= {f"{layer}.weight": (rows, 32), f"{layer}.bias": (rows,)}
    return found


HEADS = [
    ("wav2vec2", ("projector", "classifier")),
    ("whisper", ("projector", "classifier")),
    ("hubert", ("classifier.dense", "classifier.output")),
    ("wavlm", ("classifier.dense", "classifier.out_proj")),
    ("audio-spectrogram-transformer", ("classifier.layernorm", "classifier.dense")),
]


@pytest.mark.parametrize(("model_type", "layers"), HEADS)
def test_a_head_that_is_known_whole_and_as_wide_as_its_labels_is_right(
    model_type: str, layers: tuple[str, ...]
) -> None:
    assert wrong_head(model_type, shapes(*layers), 5) == ""


@pytest.mark.parametrize(("model_type", "layers"), HEADS)
def test_a_head_for_other_labels_is_told(model_type: str, layers: tuple[str, ...]) -> None:
    assert wrong_head(model_type, shapes(*layers), 8) == "its head gives 5 scores, but config.json names 8 labels"


def test_a_network_without_a_head_is_told_with_the_weights_that_are_missing() -> None:
    assert wrong_head("wav2vec2", shapes(), 5) == (
        "the checkpoint does not hold the weights classifier.bias, classifier.weight, projector.bias, projector.weight"
    )


def test_a_layer_more_is_told_by_its_name() -> None:
    found = shapes("projector", "classifier") | {"classifier.norm.weight": (32,)}
    assert wrong_head("wav2vec2", found, 5) == (
        "the checkpoint has a head unknown here, with the weights classifier.norm.weight"
    )
