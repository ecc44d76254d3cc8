"""The lengths that a model takes."""

from __future__ import annotations

from typing import Any

import pytest

from earmark.checkpoints.lengths import WAV2VEC2_KERNELS, WAV2VEC2_STRIDES, Lengths, lengths, shortest


def test_the_shortest_length_is_the_first_that_gives_a_frame() -> None:
    def frames(samples: int) -> int:
        for kernel, stride in zip((10, 3, 2), (5, 2, 2), strict=True):
            samples = (samples - kernel) // stride + 1
        return samples

    for wanted in (1, 2, 7):
        least = shortest((10, 3, 2), (5, 2, 2), wanted)
        assert (frames(least), frames(least - 1)) == (wanted, wanted - 1)


@pytest.mark.parametrize(
    ("model_type", "extractor", "rate", "samples"),
    [
        ("whisper", {}, 16_000, 480_000),
        ("whisper", {"chunk_length": 10}, 16_000, 160_000),
        ("whisper", {"chunk_length": 1.00005}, 8_000, 8_000),
    ],
)
def test_a_model_of_fixed_length_takes_its_extractors_chunk_or_else_30_seconds(
    model_type: str, extractor: dict[str, Any], rate: int, samples: int
) -> None:
    assert lengths(model_type, {}, extractor, rate) == Lengths(window=samples, limit=samples, minimum=1)


@pytest.mark.parametrize(
    ("extractor", "rate", "limit", "minimum"),
    [
        ({}, 16_000, 163_840, 400),
        ({"max_length": 101}, 22_050, 22_270, 551),
        ({"max_length": 100}, 192_000, 192_000, 4_800),
    ],
)
def test_a_spectrogram_transformer_takes_from_one_frame_of_25_ms_to_as_many_as_it_has_places(
    extractor: dict[str, Any], rate: int, limit: int, minimum: int
) -> None:
    assert lengths("audio-spectrogram-transformer", {}, extractor, rate) == (None, limit, minimum)


@pytest.mark.parametrize(("rate", "minimum"), [(16_000, 560), (22_050, 771), (192_000, 6_720)])
def test_wav2vec2_bert_takes_two_frames_or_more(rate: int, minimum: int) -> None:
    assert lengths("wav2vec2-bert", {}, {}, rate) == (None, None, minimum)


TWO_LAYERS = {"conv_kernel": [10, 3], "conv_stride": [5, 2]}


@pytest.mark.parametrize(
    ("model_type", "config", "minimum"),
    [
        ("wav2vec2", {}, 400),
        ("hubert", TWO_LAYERS, 20),
        ("sew", {}, 720),
        ("sew-d", {}, 720),
        ("sew", TWO_LAYERS, 30),
        ("sew-d", {**TWO_LAYERS, "squeeze_factor": 3}, 40),
    ],
)
def test_the_convolutions_of_a_model_decide_the_least_that_it_takes(
    model_type: str, config: dict[str, Any], minimum: int
) -> None:
    assert lengths(model_type, config, {}, 16_000) == (None, None, minimum)


def test_wav2vec2_makes_a_frame_every_320_samples() -> None:
    assert [shortest(WAV2VEC2_KERNELS, WAV2VEC2_STRIDES, frames) for frames in (1, 2, 3)] == [400, 720, 1040]


def test_as_many_kernels_as_strides_are_needed() -> None:
    with pytest.raises(ValueError, match="zip"):
        lengths("wav2vec2", {"conv_kernel": [10, 3]}, {}, 16_000)
