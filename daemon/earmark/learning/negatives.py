"""Negatives: other words and sentences than the user's, as a checkpoint's encoder hears them.

A user's machine has no recordings of other people to learn `_unknown_` from, so a checkpoint may bring some: not
sound, only the mean of the encoder's states over a window, 8 bits a number. `training/learn/negatives.py` makes the
file. It fits the encoder that it was made with and no other; the head does not matter.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from earmark.audio.types import Floats
from earmark.errors import ModelError

FILE = "negatives.safetensors"
WEIGHTS = "model.safetensors"
ENCODER_PREFIX = "encoder."


@dataclass(frozen=True, slots=True, eq=False)
class Negatives:
    """`states` has a row for each window. `words` are the words spoken in them, "" where that is more than a word.

    `weights` say how much a window counts among them. Rows of one speaker follow each other.
    """

    states: Floats
    words: tuple[str, ...]
    weights: Floats

    def without(self, labels: Collection[str]) -> Negatives:
        """Return the rows in which none of these words is spoken."""
        spoken = {label.casefold() for label in labels}
        kept = [row for row, word in enumerate(self.words) if word.casefold() not in spoken]
        return Negatives(self.states[kept], tuple(self.words[row] for row in kept), self.weights[kept])


def read(base: Path) -> Negatives:
    """Return the negatives of the checkpoint in folder `base`. Raises ModelError if none fit its weights."""
    try:
        with safe_open(base / FILE, framework="numpy") as file:
            metadata = file.metadata() or {}
            states = file.get_tensor("states").astype(np.float32) * file.get_tensor("scale")
            weights = file.get_tensor("weights")
            words = json.loads(metadata["words"])
    except FileNotFoundError:
        raise ModelError(f"{base} holds no {FILE}, so nothing can be learnt from it; take earmark/commands") from None
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise ModelError(f"{base / FILE} cannot be read ({error})") from error
    if metadata.get("encoder") != _fingerprint(base):
        raise ModelError(
            f"{base / FILE} was made with another encoder than is in the folder; make it anew with "
            "python -m training.learn.negatives"
        )
    return Negatives(states, tuple(words), weights)


def write(base: Path, negatives: Negatives) -> None:
    """Write the negatives beside the encoder that they were made with."""
    scale = (np.abs(negatives.states).max(0) / 127).astype(np.float32)
    states = np.round(negatives.states / scale).astype(np.int8)
    metadata = {"encoder": _fingerprint(base), "words": json.dumps(negatives.words)}
    arrays = {"states": states, "scale": scale, "weights": negatives.weights.astype(np.float32)}
    save_file(arrays, base / FILE, metadata=metadata)
    (base / FILE).chmod(0o644)


def _fingerprint(base: Path) -> str:
    """Return a hash of the encoder's weights. Raises ModelError."""
    digest = hashlib.sha256()
    try:
        with safe_open(base / WEIGHTS, framework="numpy") as file:
            for name in sorted(name for name in file.keys() if name.startswith(ENCODER_PREFIX)):
                digest.update(name.encode() + file.get_tensor(name).tobytes())
    except (OSError, SafetensorError, TypeError) as error:  # TypeError: numbers that numpy does not know, bfloat16
        raise ModelError(f"{base / WEIGHTS} cannot be read ({error})") from error
    return digest.hexdigest()
