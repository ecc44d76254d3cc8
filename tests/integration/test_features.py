"""The features that are computed on the device, compared with those of transformers' own extractors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
import transformers as tf

from earmark.audio.types import Floats
from earmark.worker import features

RATE = 16000
CPU = torch.device("cpu")

EXTRACTORS: Mapping[str, Callable[[], Any]] = {
    "whisper, 1 s": lambda: tf.WhisperFeatureExtractor(chunk_length=1),
    "whisper, 3 s, padded with what is no silence": lambda: tf.WhisperFeatureExtractor(
        chunk_length=3, padding_value=0.1
    ),
    "whisper, 2 s, 128 bands": lambda: tf.WhisperFeatureExtractor(chunk_length=2, feature_size=128),
    "ast": lambda: tf.ASTFeatureExtractor(max_length=128, num_mel_bins=64),
    "ast without normalisation": lambda: tf.ASTFeatureExtractor(max_length=300, num_mel_bins=64, do_normalize=False),
    "wav2vec2": tf.Wav2Vec2FeatureExtractor,
    "wav2vec2 with a mask": lambda: tf.Wav2Vec2FeatureExtractor(return_attention_mask=True),
    "wav2vec2 without normalisation": lambda: tf.Wav2Vec2FeatureExtractor(do_normalize=False),
}

time = np.arange(RATE * 4) / RATE
noise = np.random.default_rng(3).standard_normal(len(time))
SOUNDS: Mapping[str, Any] = {
    "noise": 0.1 * noise,
    "faint noise": 1e-4 * noise,
    "a tone": 0.8 * np.sin(2 * np.pi * 440 * time),
    "a tone that each frame has in the same phase": 0.3 * np.sin(2 * np.pi * 400 * time),
    "silence": 0 * time,
    "like a voice": 0.3 * np.abs(np.sin(9 * time)) * np.sin(800 * time + 3 * np.sin(25 * time)) + 0.003 * noise,
    "a click": np.where(np.arange(len(time)) == 300, 1.0, 0.0),
}

# Where a band stands still it is divided by almost nothing, and what is left is rounding
STEADY = np.array([name in ("a tone", "a tone that each frame has in the same phase", "silence") for name in SOUNDS])


def batch(length: int) -> Floats:
    """Return one window of each sound, shape (windows, length)."""
    return np.stack([sound[:length] for sound in SOUNDS.values()]).astype(np.float32)


def theirs(extractor: Any, samples: Floats) -> dict[str, torch.Tensor]:
    return dict(extractor(list(samples), sampling_rate=extractor.sampling_rate, return_tensors="pt"))


@pytest.fixture(params=EXTRACTORS)
def extractor(request: pytest.FixtureRequest) -> Any:
    return EXTRACTORS[request.param]()


@pytest.mark.parametrize("length", [560, 8001, RATE, 3 * RATE + 77])
def test_features_are_those_of_the_extractor(extractor: Any, length: int) -> None:
    module = features.on_device(extractor)
    assert module is not None
    ours, expected = module(torch.from_numpy(batch(length))), theirs(extractor, batch(length))
    assert ours.keys() == expected.keys()
    for name, values in expected.items():
        assert (ours[name].dtype, ours[name].shape) == (values.dtype, values.shape)
        assert torch.allclose(ours[name], values, rtol=1e-6, atol=1e-5), name


def test_whispers_features_are_the_same_to_the_last_bit() -> None:
    extractor = tf.WhisperFeatureExtractor(chunk_length=2)
    module = features.on_device(extractor)
    assert module is not None
    ours = module(torch.from_numpy(batch(RATE)))["input_features"]
    assert torch.equal(ours, theirs(extractor, batch(RATE))["input_features"])


@pytest.mark.parametrize("length", [RATE, RATE + 160, 2 * RATE + 77])  # an even number of frames, an odd one
@pytest.mark.parametrize("padding", [0.0, 1.0])
def test_stacked_bands_are_those_of_the_extractor(length: int, padding: float) -> None:
    extractor = tf.SeamlessM4TFeatureExtractor(padding_value=padding)
    module = features.on_device(extractor)
    assert module is not None
    samples = batch(length)
    ours, expected = module(torch.from_numpy(samples)), theirs(extractor, samples)
    assert torch.equal(ours["attention_mask"], expected["attention_mask"])
    assert ours["input_features"].shape == expected["input_features"].shape
    far = (ours["input_features"] - expected["input_features"]).abs().amax(dim=(1, 2)).numpy()
    assert far[~STEADY].max() < 2e-5  # transformers normalises in float32
    assert far.max() < 0.02


@pytest.mark.parametrize("length", [560, RATE, RATE + 160])
def test_stacked_bands_are_the_extractors_bands_normalised_without_rounding(length: int) -> None:
    extractor = tf.SeamlessM4TFeatureExtractor()
    module = features.on_device(extractor)
    assert module is not None
    samples = batch(length)
    bands = np.stack([extractor._extract_fbank_features(row) for row in samples]).astype(np.float64)
    scaled = (bands - bands.mean(axis=1, keepdims=True)) / np.sqrt(bands.var(axis=1, ddof=1, keepdims=True) + 1e-7)
    if bands.shape[1] % 2:
        scaled = np.pad(scaled, ((0, 0), (0, 1), (0, 0)))
    ours = module(torch.from_numpy(samples))["input_features"].numpy()
    far = np.abs(ours - scaled.reshape(ours.shape)).max(axis=(1, 2))
    assert far[~STEADY].max() < 1e-5
    assert far.max() < 0.01  # the last bit of a band, over almost nothing


def test_company_changes_nothing(extractor: Any) -> None:
    module = features.on_device(extractor)
    assert module is not None
    together = module(torch.from_numpy(batch(RATE)))
    for number, row in enumerate(batch(RATE)):
        alone = module(torch.from_numpy(row[None]))
        for name, values in together.items():
            assert torch.allclose(alone[name][0], values[number], rtol=1e-6, atol=1e-5)


class Louder(tf.Wav2Vec2FeatureExtractor):  # type: ignore[misc]  # transformers is untyped to mypy
    """An extractor of somebody's own."""


@pytest.mark.parametrize(
    "odd",
    [
        Louder(),
        tf.WhisperFeatureExtractor(dither=1e-4),
        tf.WhisperFeatureExtractor(return_attention_mask=True),
        tf.WhisperFeatureExtractor(padding_side="left"),
        tf.SeamlessM4TFeatureExtractor(stride=3),
        tf.SeamlessM4TFeatureExtractor(padding_side="left"),
        tf.SpeechT5FeatureExtractor(),
        object(),
    ],
    ids=["loudness", "dither", "mask", "left", "stride", "left of stacked bands", "another kind", "no extractor"],
)
def test_other_extractors_and_settings_are_left_to_transformers(odd: Any) -> None:
    assert features.on_device(odd) is None


def test_what_has_no_module_goes_through_the_extractor_itself() -> None:
    make = features.maker(Louder(), CPU)
    assert torch.equal(make(batch(RATE))["input_values"], theirs(Louder(), batch(RATE))["input_values"])


def test_the_tables_keep_their_precision_beside_a_network_of_less() -> None:
    module = features.on_device(tf.ASTFeatureExtractor(num_mel_bins=64))
    assert module is not None
    assert {name: values.dtype for name, values in module.named_buffers()} == {
        "window": torch.float64,
        "filters": torch.float64,
    }
    assert module.state_dict() == {}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA")
def test_a_gpu_computes_the_same_features(extractor: Any) -> None:
    module = features.on_device(extractor)
    assert module is not None
    on_cpu = module(torch.from_numpy(batch(RATE)))
    on_gpu = features.maker(extractor, torch.device("cuda"))(batch(RATE))
    for name, values in on_cpu.items():
        # Whisper's are in float32, where the quietest band beside a loud tone has few digits
        assert torch.allclose(on_gpu[name].cpu(), values, rtol=1e-5, atol=1e-3 if name == "input_features" else 1e-5)
