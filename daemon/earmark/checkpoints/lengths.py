"""The lengths of sound that a model takes, from its configuration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from earmark.checkpoints.checkpoint import CLAP

FRAME_MS, HOP_MS = 25, 10  # of the filter banks of AST and wav2vec2-BERT
WAV2VEC2_KERNELS, WAV2VEC2_STRIDES = (10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2)
SEW_KERNELS = (10, 3, 1, 3, 1, 3, 1, 3, 1, 2, 1, 2, 1)
SEW_STRIDES = (5, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1)


class Lengths(NamedTuple):
    """In samples, as Checkpoint has them."""

    window: int | None
    limit: int | None
    minimum: int


def lengths(model_type: str, config: Mapping[str, Any], extractor: Mapping[str, Any], rate: int) -> Lengths:
    """Return the lengths that a model of `model_type` takes at `rate` Hz.

    `config` and `extractor` are what config.json and preprocessor_config.json say. Raises TypeError or ValueError if
    they make no sense.
    """
    match model_type:
        case "whisper":
            window = int(extractor.get("chunk_length", 30) * rate)
            return Lengths(window, window, 1)
        case "audio-spectrogram-transformer":
            limit = int(extractor.get("max_length", 1024)) * HOP_MS * rate // 1000
            return Lengths(None, limit, FRAME_MS * rate // 1000)
        case _ if model_type == CLAP:  # repeats what is shorter
            return Lengths(None, int(extractor.get("max_length_s", 10) * rate), 1)
        case "wav2vec2-bert":  # divides by the variance over its frames, and a single frame has none
            return Lengths(None, None, (FRAME_MS + HOP_MS) * rate // 1000)
        case "sew" | "sew-d":
            kernels, strides = config.get("conv_kernel", SEW_KERNELS), config.get("conv_stride", SEW_STRIDES)
            return Lengths(None, None, shortest(kernels, strides, frames=config.get("squeeze_factor", 2)))
        case _:
            kernels, strides = config.get("conv_kernel", WAV2VEC2_KERNELS), config.get("conv_stride", WAV2VEC2_STRIDES)
            return Lengths(None, None, shortest(kernels, strides))


def shortest(kernels: Iterable[int], strides: Iterable[int], frames: int = 1) -> int:
    """Return the fewest samples of which a stack of unpadded convolutions makes `frames` frames."""
    samples = frames
    for kernel, stride in reversed(list(zip(kernels, strides, strict=True))):
        samples = (samples - 1) * stride + kernel
    return samples
