"""Every architecture in this process, compared with transformers' own pipeline."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import pipeline
from transformers.models.auto.modeling_auto import MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING_NAMES

from earmark.audio.types import Floats
from earmark.checkpoints import reader
from earmark.checkpoints.checkpoint import default_function
from earmark.config.settings import Function
from earmark.errors import ModelError
from earmark.inference.scores import apply, softmax
from earmark.worker import model
from earmark.worker.device import choose_device
from tests import checkpoints

CPU = torch.device("cpu")


def clips(count: int, length: int = checkpoints.RATE) -> Floats:
    """Return tones of different pitch with a little noise, shape (count, length)."""
    time = np.arange(length) / checkpoints.RATE
    pitch = 150 + 40 * np.arange(count)[:, None]
    noise = np.random.default_rng(1).standard_normal((count, length))
    return (0.3 * np.sin(2 * np.pi * pitch * time) + 0.02 * noise).astype(np.float32)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    model.use_threads(1)  # these networks are so small that more threads only wait for each other


@pytest.fixture(params=checkpoints.MAKERS, scope="module")
def saved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoints.save(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="module")
def loaded(saved: Path) -> model.AudioModel:
    return model.load("test/tiny", saved, CPU, "fp32")


@pytest.fixture(scope="module")
def theirs(saved: Path) -> Any:
    """Return transformers' own pipeline for the same checkpoint."""
    return pipeline("audio-classification", str(saved))


def test_the_tiny_checkpoints_cover_all_architectures_that_transformers_maps_for_the_task() -> None:
    assert reader.ARCHITECTURES == dict(MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING_NAMES)
    made = {type(maker()[0]).__name__ for maker in checkpoints.MAKERS.values()}
    assert made == set(reader.ARCHITECTURES.values())
    assert len(made) == 12


@pytest.mark.parametrize("function", get_args(Function))
def test_scores_are_those_of_the_pipeline(
    saved: Path, loaded: model.AudioModel, theirs: Any, function: Function
) -> None:
    found = theirs(clips(3)[2], top_k=None, function_to_apply=function)
    expected = {each["label"]: each["score"] for each in found}
    ours = apply(function, loaded.classify(clips(3)), "test/tiny")[2]
    assert reader.read(saved).labels == checkpoints.LABELS
    # For wav2vec2-BERT transformers normalises in float32, and its rounding shows in logits of such weights
    is_rounded = reader.read(saved).model_type == "wav2vec2-bert" and function == "none"
    assert dict(zip(checkpoints.LABELS, ours, strict=True)) == pytest.approx(expected, abs=5e-5 if is_rounded else 1e-5)
    assert np.std(list(expected.values())) > 0.005  # else any answer would do


@pytest.mark.parametrize("problem_type", ["regression", "multi_label_classification", None])
def test_without_a_wish_the_function_is_the_pipelines(tmp_path: Path, problem_type: str | None) -> None:
    path = checkpoints.save(tmp_path, "wav2vec2")
    checkpoints.edit_config(path, {"problem_type": problem_type})
    expected = {each["label"]: each["score"] for each in pipeline("audio-classification", str(path))(clips(1)[0])}
    function = default_function(reader.read(path).problem_type)
    ours = apply(function, model.load("test/tiny", path, CPU, "fp32").classify(clips(1)), "test/tiny")[0]
    assert dict(zip(checkpoints.LABELS, ours, strict=True)) == pytest.approx(expected, abs=1e-5)


def as_processor(path: Path) -> None:
    """Move the extractor into the file in which transformers 5 saves it together with a tokenizer."""
    alone = path / "preprocessor_config.json"
    extractor = json.loads(alone.read_text())
    alone.unlink()
    (path / "processor_config.json").write_text(json.dumps({"feature_extractor": extractor}))


def with_a_point(path: Path) -> None:
    file = path / "preprocessor_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"sampling_rate": 16000.0}))


def without_names(path: Path) -> None:
    config = json.loads((path / "config.json").read_text())
    del config["id2label"], config["label2id"]
    (path / "config.json").write_text(json.dumps(config | {"num_labels": len(checkpoints.LABELS)}))


def not_a_number(path: Path) -> None:
    checkpoints.edit_config(path, {"mask_value": float("nan"), "limit": float("inf")})


@pytest.mark.parametrize("kind", ["wav2vec2", "ast", "whisper"])
@pytest.mark.parametrize("change", [as_processor, with_a_point, without_names, not_a_number])
def test_what_the_pipeline_loads_loads_and_scores_the_same(
    tmp_path: Path, kind: str, change: Callable[[Path], None]
) -> None:
    path = checkpoints.save(tmp_path, kind)
    change(path)
    found = reader.read(path)
    clip = clips(1)[0]
    try:
        theirs = pipeline("audio-classification", str(path), top_k=None)(clip)
    except Exception as error:
        pytest.skip(f"the pipeline itself does not load it: {error!r}")
    logits = model.load("test/tiny", path, CPU, "fp32").classify(clip[None])
    ours = apply(default_function(found.problem_type), logits, "test/tiny")[0]
    expected = {each["label"]: each["score"] for each in theirs}
    assert dict(zip(found.labels, ours, strict=True)) == pytest.approx(expected, abs=1e-5)


def test_scores_do_not_depend_on_company(loaded: model.AudioModel) -> None:
    together = loaded.classify(clips(32))
    alone = np.concatenate([loaded.classify(clip[None]) for clip in clips(32)[::8]])
    assert together.dtype == np.float32
    assert np.abs(together[::8] - alone).max() < 1e-4
    assert together.std(axis=0).max() > 0.01  # else company could not show


def test_the_shortest_window_is_what_the_checkpoint_says(saved: Path, loaded: model.AudioModel) -> None:
    least = reader.read(saved).minimum
    assert np.isfinite(loaded.classify(clips(2, least))).all()


def edited(tmp_path: Path, drop: str = "", rename: dict[str, str] | None = None, kind: str = "wav2vec2") -> Path:
    """Make a checkpoint without the weights whose names match `drop`, and with others renamed."""
    path = checkpoints.save(tmp_path, kind)
    weights = load_file(path / "model.safetensors")
    kept = {name: weight for name, weight in weights.items() if not drop or drop not in name}
    for old, new in (rename or {}).items():
        kept = {name.replace(old, new): weight for name, weight in kept.items()}
    assert kept.keys() != weights.keys()
    save_file(kept, path / "model.safetensors", metadata={"format": "pt"})
    return path


def test_a_checkpoint_with_another_head_is_refused_with_the_names_of_what_is_missing(tmp_path: Path) -> None:
    path = edited(tmp_path, rename={"projector": "emotion.dense", "classifier.weight": "emotion.out_proj.weight"})
    with pytest.raises(ModelError, match=r"^test/tiny: .*classifier\.weight, projector\.bias, projector\.weight$"):
        model.load("test/tiny", path, CPU, "fp32")


def test_a_head_of_another_shape_is_refused_by_name(tmp_path: Path) -> None:
    path = checkpoints.save(tmp_path, "wav2vec2")
    weights = load_file(path / "model.safetensors")
    save_file(weights | {"classifier.bias": torch.zeros(9)}, path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"weights classifier\.bias$"):
        model.load("test/tiny", path, CPU, "fp32")


@pytest.mark.parametrize(
    "change",
    [
        {"drop": "masked_spec_embed"},
        {"rename": {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}},
    ],
)
def test_harmless_differences_change_nothing(tmp_path: Path, change: dict[str, Any]) -> None:
    plain = model.load("plain", checkpoints.save(tmp_path / "plain", "wav2vec2"), CPU, "fp32")
    other = model.load("other", edited(tmp_path / "other", **change), CPU, "fp32")
    assert np.array_equal(plain.classify(clips(2)), other.classify(clips(2)))


def test_int8_stays_near_fp32(tmp_path: Path) -> None:
    path = checkpoints.save(tmp_path, "whisper")
    exact, coarse = (softmax(model.load("tiny", path, CPU, each).classify(clips(8))) for each in ("fp32", "int8"))
    assert np.abs(exact - coarse).max() < 0.05
    assert not np.array_equal(exact, coarse)


def test_bf16_answers_in_float32(tmp_path: Path) -> None:
    path = checkpoints.save(tmp_path, "whisper")
    exact, coarse = (model.load("tiny", path, CPU, each).classify(clips(8)) for each in ("fp32", "bf16"))
    assert coarse.dtype == np.float32
    assert np.abs(softmax(exact) - softmax(coarse)).max() < 0.05


class Extractor:
    """Features are the samples."""

    sampling_rate = checkpoints.RATE

    def __call__(self, samples: list[Floats], **_: object) -> dict[str, torch.Tensor]:
        return {"input_values": torch.from_numpy(np.stack(samples))}


class SmallDevice:
    """A network on a device with memory for `room` windows; the logits are the first two samples."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.sizes: list[int] = []

    def __call__(self, input_values: torch.Tensor) -> Any:
        self.sizes.append(len(input_values))
        if len(input_values) > self.room:
            raise torch.OutOfMemoryError("no memory")
        self.logits = input_values[:, :2]
        return self


def test_a_batch_that_does_not_fit_is_halved_until_it_does_and_the_size_is_remembered() -> None:
    device = SmallDevice(room=3)
    tight = model.AudioModel("tiny", device, Extractor(), CPU)
    batch = clips(8, 400)
    assert np.array_equal(tight.classify(batch), batch[:, :2])
    assert np.array_equal(tight.classify(batch), batch[:, :2])
    assert device.sizes == [8, 4, 2, 2, 2, 2, 2, 2, 2, 2]


def test_a_single_window_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(torch.OutOfMemoryError):
        model.AudioModel("tiny", SmallDevice(room=0), Extractor(), CPU).classify(clips(2, 400))


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_a_device_that_is_not_there_is_an_error_and_auto_takes_what_is() -> None:
    with pytest.raises(ModelError, match=r'worker\.device: .* has no "cuda"'):
        choose_device("cuda")
    assert choose_device("auto").type in ("cpu", "mps")
