"""The layout of a checkpoint's head, by the names of its weights."""

from __future__ import annotations

import pytest

from earmark.checkpoints.head_layouts import LAYOUTS, head, wrong_head

STOCK = {"wav2vec2.masked_spec_embed", "projector.weight", "projector.bias", "classifier.weight", "classifier.bias"}
DENSE = {"classifier.dense.weight", "classifier.dense.bias"}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (STOCK, "stock"),
        (DENSE | {"classifier.output.weight", "classifier.output.bias"}, "affine"),
        (DENSE | {"classifier.out_proj.weight", "classifier.out_proj.bias"}, "tanh"),
        (
            {"age.dense.weight", "age.out_proj.weight", "gender.dense.weight", "gender.out_proj.weight"},
            "age and gender",
        ),
        ({"pool_attention.0.weight", "classifier.0.weight"}, "attention"),
        ({"output_mlp.weight"}, "normed"),
        (DENSE, "stock"),
        ({"classifier.output.weight"}, "stock"),
        (set[str](), "stock"),
    ],
)
def test_the_names_tell_the_head(names: set[str], expected: str) -> None:
    assert head("wav2vec2", names) == expected


@pytest.mark.parametrize(
    ("model_type", "own"), [("audio-spectrogram-transformer", "spectrogram"), ("whisper", "stock")]
)
def test_models_without_frames_have_heads_of_transformers(model_type: str, own: str) -> None:
    assert head(model_type, DENSE | {"classifier.output.weight"}) == own


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
    ("wav2vec2", (*(f"pool_attention.{n}" for n in (0, 2)), *(f"classifier.{n}" for n in (0, 1, 4, 6)))),
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


def test_both_outputs_of_two_heads_count_and_a_layer_without_bias_needs_none() -> None:
    two = shapes("age.dense", "age.out_proj", labels=1) | shapes("gender.dense", "gender.out_proj", labels=3)
    assert wrong_head("wav2vec2", two, 4) == ""
    assert wrong_head("wav2vec2", two, 3) == "its head gives 4 scores, but config.json names 3 labels"
    assert wrong_head("wav2vec2", {"output_mlp.weight": (4, 32)}, 4) == ""


@pytest.mark.parametrize(
    ("named", "labels"),
    [
        (("female", "male", "child"), ("age", "female", "male", "child")),
        (("f", "m", "c"), ("age", "f", "m", "c")),
        (("years", "f", "m", "c"), ("years", "f", "m", "c")),
        (("LABEL_0", "LABEL_1"), ("age", "female", "male", "child")),
    ],
)
def test_the_age_stands_before_the_labels_that_the_checkpoint_names(
    named: tuple[str, ...], labels: tuple[str, ...]
) -> None:
    assert LAYOUTS["age and gender"].labels(named) == labels


@pytest.mark.parametrize(
    ("named", "label"),
    [(("LABEL_0", "LABEL_1"), "complete"), (("LABEL_0",), "complete"), (("done",), "done"), (("a", "b"), "complete")],
)
def test_attention_has_one_label_whatever_is_named(named: tuple[str, ...], label: str) -> None:
    assert LAYOUTS["attention"].labels(named) == (label,)
