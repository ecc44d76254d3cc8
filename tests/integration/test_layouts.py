"""Heads of other authors, compared with arithmetic in numpy on the frames of transformers' network without a head."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from safetensors.numpy import load_file
from transformers import AutoConfig, AutoModel

from earmark.audio.types import Floats
from earmark.checkpoints import reader
from earmark.errors import ModelError
from earmark.worker import model
from tests import checkpoints

Doubles = npt.NDArray[np.float64]

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


def frames(path: Path, samples: Floats) -> Doubles:
    """Return the frames that the network without its head makes of the samples, one clip after the other."""
    config = AutoConfig.from_pretrained(path)
    stored = load_file(path / "model.safetensors")
    bare = AutoModel.from_config(config).eval()
    weights = {name.partition(".")[2]: torch.from_numpy(weight) for name, weight in stored.items()}
    absent = bare.load_state_dict(weights, strict=False).missing_keys
    assert [name for name in absent if name != "masked_spec_embed"] == []
    scaled = (samples - samples.mean(-1, keepdims=True)) / np.sqrt(samples.var(-1, keepdims=True) + 1e-7)
    with torch.inference_mode():
        rows = [bare(torch.from_numpy(row[None])).last_hidden_state[0].double().numpy() for row in scaled]
    return np.stack(rows)


def logits(pooled: Doubles, head: checkpoints.Weights, output: str, bend: Callable[[Doubles], Doubles]) -> Doubles:
    """Compute the head's formula in double precision."""
    inner = bend(pooled @ head["classifier.dense.weight"].T.astype(float) + head["classifier.dense.bias"])
    found: Doubles = inner @ head[f"classifier.{output}.weight"].T.astype(float) + head[f"classifier.{output}.bias"]
    return found


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


@pytest.mark.parametrize("output", OUTPUTS.values())
@pytest.mark.parametrize("precision", ["int8", "bf16"])
def test_other_heads_take_other_precisions(tmp_path: Path, output: str, precision: str) -> None:
    checkpoints.save_with_head(tmp_path, output)
    exact = load(tmp_path).classify(clips(4))
    coarse = model.load("test/tiny", tmp_path, CPU, precision).classify(clips(4))
    assert coarse.dtype == np.float32
    assert 0 < np.abs(exact - coarse).max() < 0.2 * np.abs(exact).max()


@pytest.mark.parametrize(
    ("output", "gone", "named"),
    [
        ("output", "classifier.dense.bias", r"projector\.bias$"),
        ("output", "classifier.output.bias", r"classifier\.bias$"),
        ("out_proj", "classifier.dense.bias", r"classifier\.dense\.bias$"),
        ("out_proj", "classifier.out_proj.bias", r"classifier\.out_proj\.bias$"),
        ("output", "classifier.output.weight", r"classifier\.bias, classifier\.weight, projector\.bias, projector\.w"),
    ],
)
def test_half_a_head_is_refused_with_the_names_of_the_other_half(
    tmp_path: Path, output: str, gone: str, named: str
) -> None:
    checkpoints.save_with_head(tmp_path, output)
    weights = load_file(tmp_path / "model.safetensors")
    del weights[gone]
    checkpoints.write_weights(tmp_path, weights)
    with pytest.raises(ModelError, match=rf"^test/tiny: the checkpoint does not hold the weights {named}"):
        load(tmp_path)


@pytest.mark.parametrize("output", OUTPUTS.values())
def test_a_head_with_one_layer_more_is_refused_by_its_name(tmp_path: Path, output: str) -> None:
    checkpoints.save_with_head(tmp_path, output)
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
