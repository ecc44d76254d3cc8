"""Heads of other authors, compared with arithmetic in numpy on the frames of transformers' network without a head."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from earmark.audio.types import Floats
from earmark.checkpoints import reader
from earmark.converting.convert import convert_speechbrain
from earmark.errors import ModelError
from earmark.inference.scores import apply
from earmark.worker import model
from tests import checkpoints
from tests.author_heads import Doubles, ages_and_genders, attended, frames, logits, output_norm

CPU = torch.device("cpu")
KINDS = [kind for kind in checkpoints.MAKERS if kind not in ("ast", "whisper")]
OUTPUTS = {"affine": "output", "tanh": "out_proj"}


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    model.use_threads(1)


def clips(count: int, length: int = 8000) -> Floats:
    """Return tones of different pitch with a little noise, shape (count, length)."""
    pitch = 150 + 40 * np.arange(count)[:, None]
    tones = 0.3 * np.sin(2 * np.pi * pitch * np.arange(length) / checkpoints.RATE)
    return (tones + 0.02 * np.random.default_rng(1).standard_normal((count, length))).astype(np.float32)


def straight(values: Doubles) -> Doubles:
    return values


def load(path: Path) -> model.AudioModel:
    return model.load("test/tiny", path, CPU, "fp32")


@pytest.mark.parametrize("kind", ["wav2vec2", "wav2vec2-layer", "hubert", "wavlm"])
def test_the_recommended_models_head_is_two_affine_maps_of_the_mean(tmp_path: Path, kind: str) -> None:
    head = checkpoints.save_with_head(tmp_path, "output", kind, architectures=["Wav2Vec2ForSpeechClassification"])
    expected = logits(frames(tmp_path, clips(3)).mean(axis=1), head, "output", straight)
    assert np.abs(load(tmp_path).classify(clips(3)) - expected).max() < 1e-5
    assert expected.std(axis=0).max() > 0.01  # else any clip would do


@pytest.mark.parametrize("kind", ["wav2vec2", "wav2vec2-layer", "hubert", "wavlm"])
@pytest.mark.parametrize("pooling", ["mean", "sum", "max", None])
def test_the_tanh_familys_head_bends_between_dense_and_out_proj(tmp_path: Path, kind: str, pooling: str | None) -> None:
    named = {} if pooling is None else {"pooling_mode": pooling}
    head = checkpoints.save_with_head(tmp_path, "out_proj", kind, **named)
    pooled = getattr(np, pooling or "mean")(frames(tmp_path, clips(3)), axis=1)
    expected = logits(pooled, head, "out_proj", np.tanh)
    assert np.abs(load(tmp_path).classify(clips(3)) - expected).max() < 1e-5
    assert np.abs(logits(pooled, head, "out_proj", straight) - expected).max() > 0.01


@pytest.mark.parametrize("kind", ["wav2vec2", "wav2vec2-layer"])
def test_age_and_gender_are_two_tanh_heads_and_the_age_is_a_value(tmp_path: Path, kind: str) -> None:
    head = checkpoints.save_with_age_and_gender(tmp_path, kind)
    expected = ages_and_genders(frames(tmp_path, clips(3)).mean(axis=1), head)
    found = reader.read(tmp_path)
    assert (found.labels, found.values) == (("age", "female", "male", "child"), ("age",))
    assert np.abs(apply(found.scoring, load(tmp_path).classify(clips(3)), "m") - expected).max() < 1e-5
    assert expected.std(axis=0).max() > 0.01


@pytest.mark.parametrize("length", [8000, 41_234])
def test_attention_is_over_the_frames_of_sound_in_a_window_that_is_padded_to_sixteen_seconds(
    tmp_path: Path, length: int
) -> None:
    head = checkpoints.save_with_attention(tmp_path)
    expected, attention = attended(tmp_path, clips(2, length), head)
    found = reader.read(tmp_path)
    assert (found.labels, found.scoring, found.limit) == (("complete",), "sigmoid", 16 * checkpoints.RATE)
    assert np.abs(load(tmp_path).classify(clips(2, length)) - expected).max() < 1e-5
    assert np.ptp(expected) > 1e-4
    assert np.count_nonzero(attention) == pytest.approx(length / 320, abs=2)
    assert attention.max() > 1.1 * attention[attention > 0].min()


def test_attention_takes_a_window_of_sixteen_seconds_whole(tmp_path: Path) -> None:
    head = checkpoints.save_with_attention(tmp_path)
    sound = clips(1, 16 * checkpoints.RATE)
    assert np.abs(load(tmp_path).classify(sound) - attended(tmp_path, sound, head)[0]).max() < 1e-5


def convert(folder: Path, made: Path) -> None:
    """Convert a checkpoint of SpeechBrain."""
    made.mkdir()
    convert_speechbrain(made, *(folder / name for name in ("wav2vec2.ckpt", "model.ckpt", "label_encoder.txt")))


@pytest.mark.parametrize("loudness", [1, 0.01])
def test_a_converted_checkpoint_of_speechbrain_norms_samples_and_frames_as_that_does(
    tmp_path: Path, loudness: float
) -> None:
    network, output = checkpoints.save_speechbrain(tmp_path / "theirs")
    convert(tmp_path / "theirs", tmp_path / "ours")
    sound = clips(3) * np.float32(loudness)
    expected = output_norm(network, output, sound)
    found = reader.read(tmp_path / "ours")
    assert (found.labels, found.scoring, found.rate) == (("neu", "ang", "hap", "sad"), "softmax", 16_000)
    assert np.abs(load(tmp_path / "ours").classify(sound) - expected).max() < 1e-5
    assert expected.std(axis=0).max() > 0.01


def test_a_last_layer_of_speechbrain_for_other_labels_is_refused(tmp_path: Path) -> None:
    checkpoints.save_speechbrain(tmp_path / "theirs")
    torch.save({"0.w.weight": torch.zeros(5, checkpoints.WIDTH)}, tmp_path / "theirs" / "model.ckpt")
    with pytest.raises(ModelError, match=r"^model\.ckpt does not hold one weight, 0\.w\.weight, of the shape \(4, 32"):
        convert(tmp_path / "theirs", tmp_path / "ours")


@pytest.mark.parametrize("output", OUTPUTS.values())
@pytest.mark.parametrize("kind", KINDS)
def test_every_architecture_with_frames_takes_both_heads_and_company_changes_nothing(
    tmp_path: Path, kind: str, output: str
) -> None:
    checkpoints.save_with_head(tmp_path, output, kind)
    loaded = load(tmp_path)
    together = loaded.classify(clips(32))
    alone = np.concatenate([loaded.classify(clip[None]) for clip in clips(32)[::8]])
    assert np.abs(together[::8] - alone).max() < 1e-4
    assert together.std(axis=0).max() > 0.01


@pytest.mark.parametrize("output", OUTPUTS.values())
@pytest.mark.parametrize("norm", ["new names", "weight_g"])
def test_weights_in_several_files_and_with_old_names_are_the_same_model(tmp_path: Path, output: str, norm: str) -> None:
    checkpoints.save_with_head(tmp_path, output)
    expected = load(tmp_path).classify(clips(2))
    weights = load_file(tmp_path / "model.safetensors")
    if norm == "weight_g":
        renames = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
        for old, new in renames.items():
            weights = {name.replace(old, new): weight for name, weight in weights.items()}
        assert any(name.endswith("weight_g") for name in weights)
    checkpoints.write_weights(tmp_path, weights, files=3)
    assert reader.read(tmp_path).labels == checkpoints.LABELS
    assert np.array_equal(load(tmp_path).classify(clips(2)), expected)


def test_a_regression_of_the_tanh_family_answers_its_values_unchanged(tmp_path: Path) -> None:
    fields: dict[str, Any] = {  # of audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim, where they matter
        "architectures": ["Wav2Vec2ForSpeechClassification"],
        "finetuning_task": "wav2vec2_reg",
        "pooling_mode": "mean",
        "problem_type": "regression",
        "vocab_size": None,
        "torch_dtype": "float32",
    }
    checkpoints.save_with_head(tmp_path, "out_proj", **fields)
    assert reader.read(tmp_path).problem_type == "regression"
    assert load(tmp_path).classify(clips(1)).shape == (1, 5)


OWN: dict[str, Callable[[Path], checkpoints.Weights]] = {
    "affine": lambda path: checkpoints.save_with_head(path, "output"),
    "tanh": lambda path: checkpoints.save_with_head(path, "out_proj"),
    "age and gender": checkpoints.save_with_age_and_gender,
    "attention": checkpoints.save_with_attention,
}


@pytest.mark.parametrize("own", OWN)
@pytest.mark.parametrize("precision", ["int8", "bf16"])
def test_other_heads_take_other_precisions(tmp_path: Path, own: str, precision: str) -> None:
    OWN[own](tmp_path)
    exact = load(tmp_path).classify(clips(4))
    coarse = model.load("test/tiny", tmp_path, CPU, precision).classify(clips(4))
    assert coarse.dtype == np.float32
    assert 0 < np.abs(exact - coarse).max() < 0.2 * np.abs(exact).max()


@pytest.mark.parametrize(
    ("own", "gone", "named"),
    [
        ("affine", "classifier.dense.bias", r"projector\.bias$"),
        ("affine", "classifier.output.bias", r"classifier\.bias$"),
        ("tanh", "classifier.dense.bias", r"classifier\.dense\.bias$"),
        ("tanh", "classifier.out_proj.bias", r"classifier\.out_proj\.bias$"),
        ("affine", "classifier.output.weight", r"classifier\.bias, classifier\.weight, projector\.bias, projector\.w"),
        ("age and gender", "gender.dense.bias", r"gender\.dense\.bias$"),
        ("attention", "classifier.1.weight", r"classifier\.1\.weight$"),
    ],
)
def test_half_a_head_is_refused_with_the_names_of_the_other_half(
    tmp_path: Path, own: str, gone: str, named: str
) -> None:
    OWN[own](tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    del weights[gone]
    checkpoints.write_weights(tmp_path, weights)
    with pytest.raises(ModelError, match=rf"^test/tiny: the checkpoint does not hold the weights {named}"):
        load(tmp_path)


@pytest.mark.parametrize("own", OWN)
def test_a_head_with_one_layer_more_is_refused_by_its_name(tmp_path: Path, own: str) -> None:
    OWN[own](tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    checkpoints.write_weights(tmp_path, weights | {"classifier.norm.weight": np.ones(32, np.float32)})
    with pytest.raises(ModelError, match=r"a head unknown here, with the weights classifier\.norm\.weight$"):
        load(tmp_path)


def test_a_head_of_another_width_is_refused_by_name(tmp_path: Path) -> None:
    checkpoints.save_with_head(tmp_path, "out_proj")
    weights = load_file(tmp_path / "model.safetensors")
    weights["classifier.dense.weight"] = np.zeros((16, 32), np.float32)
    checkpoints.write_weights(tmp_path, weights)
    with pytest.raises(ModelError, match=r"weights classifier\.dense\.weight$"):
        load(tmp_path)


def test_a_pooling_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    checkpoints.save_with_head(tmp_path, "out_proj", pooling_mode="attention")
    with pytest.raises(ModelError, match=r"^test/tiny: pooling_mode in config\.json is 'attention', none of mean, sum"):
        load(tmp_path)


def test_weights_that_are_not_safetensors_are_refused_without_a_path(tmp_path: Path) -> None:
    checkpoints.save(tmp_path, "wav2vec2")
    (tmp_path / "model.safetensors").write_bytes(b"<html>" * 99)
    with pytest.raises(ModelError, match=r"^test/tiny: model\.safetensors is not what its name says") as caught:
        load(tmp_path)
    assert str(tmp_path) not in str(caught.value)
