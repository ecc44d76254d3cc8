"""The heads of other authors as these wrote them, in numpy, on the frames of transformers' network without a head."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.numpy import load_file
from transformers import AutoConfig, AutoModel

from earmark.audio.types import Floats
from tests import checkpoints

Doubles = npt.NDArray[np.float64]


def bare_network(path: Path) -> Any:
    """Return transformers' network of a checkpoint, without its head."""
    config = AutoConfig.from_pretrained(path)
    stored = load_file(path / "model.safetensors")
    bare = AutoModel.from_config(config).eval()
    weights = {name.partition(".")[2]: torch.from_numpy(weight) for name, weight in stored.items()}
    absent = bare.load_state_dict(weights, strict=False).missing_keys
    assert [name for name in absent if name != "masked_spec_embed"] == []
    return bare


def scaled(samples: Floats) -> Floats:
    """Return the clips with mean 0 and variance 1, as the feature extractor makes them."""
    made: Floats = (samples - samples.mean(-1, keepdims=True)) / np.sqrt(samples.var(-1, keepdims=True) + 1e-7)
    return made


def frames(path: Path, samples: Floats) -> Doubles:
    """Return the frames that the network without its head makes of the samples, one clip after the other."""
    bare = bare_network(path)
    with torch.inference_mode():
        rows = [bare(torch.from_numpy(row[None])).last_hidden_state[0].double().numpy() for row in scaled(samples)]
    return np.stack(rows)


def affine(values: Doubles, head: checkpoints.Weights, layer: str) -> Doubles:
    """Apply a layer in double precision."""
    found: Doubles = values @ head[f"{layer}.weight"].T.astype(float) + head[f"{layer}.bias"]
    return found


def logits(pooled: Doubles, head: checkpoints.Weights, output: str, bend: Callable[[Doubles], Doubles]) -> Doubles:
    """Compute the head's formula in double precision."""
    return affine(bend(affine(pooled, head, "classifier.dense")), head, f"classifier.{output}")


def gelu(values: Doubles) -> Doubles:
    """Apply the exact GELU, with the error function."""
    made: Doubles = np.vectorize(lambda value: 0.5 * value * (1 + math.erf(value / math.sqrt(2))))(values)
    return made


def ages_and_genders(pooled: Doubles, head: checkpoints.Weights) -> Doubles:
    """Compute audeering's two heads, and softmax over the genders, as the model card has it."""
    age, gender = (
        affine(np.tanh(affine(pooled, head, f"{each}.dense")), head, f"{each}.out_proj") for each in ("age", "gender")
    )
    return np.concatenate([age, softmax(gender)], axis=-1)


def attended(path: Path, samples: Floats, head: checkpoints.Weights) -> tuple[Doubles, Doubles]:
    """Compute smart-turn's head as its author runs it, padded to 16 s. Returns logits, and the attention of the last.

    A frame counts as padding if the sample at its number times (samples / frames) is.
    """
    whole, bare = 16 * checkpoints.RATE, bare_network(path)
    found, attention = [], np.zeros(0)
    for row in scaled(samples):
        padded = np.zeros(whole, np.float32)
        padded[: len(row)] = row
        mask = (np.arange(whole) < len(row)).astype(np.int64)
        with torch.inference_mode():
            made = bare(torch.from_numpy(padded[None]), attention_mask=torch.from_numpy(mask[None]))
        hidden = made.last_hidden_state[0].double().numpy()
        heard = mask[(np.arange(len(hidden)) * (whole / len(hidden))).astype(int)] == 1
        scores = affine(np.tanh(affine(hidden, head, "pool_attention.0")), head, "pool_attention.2")[:, 0]
        attention = np.where(heard, np.exp(scores), 0)
        attention /= attention.sum()
        inner = affine(attention @ hidden, head, "classifier.0")
        inner = (inner - inner.mean()) / np.sqrt(inner.var() + 1e-5) * head["classifier.1.weight"]
        inner = gelu(affine(gelu(inner + head["classifier.1.bias"]), head, "classifier.4"))
        found.append(affine(inner, head, "classifier.6"))
    return np.stack(found), attention


def softmax(logits: Doubles) -> Doubles:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    made: Doubles = powers / powers.sum(axis=-1, keepdims=True)
    return made


def sigmoid(logits: Doubles) -> Doubles:
    made: Doubles = 1 / (1 + np.exp(-logits))
    return made


def output_norm(network: Any, output: Doubles, samples: Floats) -> Doubles:
    """Compute what SpeechBrain's classifier makes of clips: both norms as torch's layer_norm has them, no noise."""
    found = []
    for row in samples.astype(float):
        sound = (row - row.mean()) / np.sqrt(row.var() + 1e-5)
        with torch.inference_mode():
            made = network(torch.from_numpy(sound[None]).float()).last_hidden_state[0].double().numpy()
        normed = (made - made.mean()) / np.sqrt(made.var() + 1e-5)
        found.append(normed.mean(axis=0) @ output.T.astype(float))
    return np.stack(found)
