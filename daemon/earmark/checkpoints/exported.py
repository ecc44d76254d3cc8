"""The exported network of a checkpoint: a file of ONNX beside the weights that it was made from.

The network takes `samples`, float32 of shape (windows, length) at the checkpoint's rate, and gives `logits`, float32 of
shape (windows, labels): what a feature extractor does is in it. Its metadata say what it was made from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from earmark.checkpoints.weights import SINGLE

Kind = Literal["fp32", "int8"]
FILES: Mapping[Kind, str] = {"fp32": "model.onnx", "int8": "model.int8.onnx"}
"""The name of the file by the precision of its weights."""

FORMAT = "1"
INPUT, OUTPUT = "samples", "logits"
FORMAT_KEY, WEIGHTS_KEY, PRECISION_KEY, MAKER_KEY = "earmark", "weights", "precision", "exported_by"
"""The keys of the metadata: FORMAT, weights_told(), the precision, and the versions that made the file."""

BRIEF = "--brief"
"""The option with which exporting/run.py tells what `earmark learn` wants to show."""


def kind_of(precision: str) -> Kind:
    """Return which exported network has the precision that the settings ask for."""
    return "int8" if precision == "int8" else "fp32"


def exported(folder: Path, kind: Kind = "fp32") -> Path | None:
    """Return the file of the exported network. None if there is none. Whether it can be used, complaint() says."""
    file = folder / FILES[kind]
    return file if file.is_file() else None


def weights_told(folder: Path) -> str:
    """Return the size and the SHA-256 of the weights in a checkpoint's folder, by which a stale export is known.

    Raises OSError if they cannot be read. Weights in several files count as one, in the order of the files' names.
    """
    single = folder / SINGLE
    files = [single] if single.is_file() else sorted(folder.glob("model-*.safetensors"))
    size, digest = 0, hashlib.sha256()
    for file in files:
        with file.open("rb") as content:
            hashlib.file_digest(content, lambda: digest)
        size += file.stat().st_size
    return f"{size} {digest.hexdigest()}"


def complaint(metadata: Mapping[str, str], folder: Path, kind: Kind = "fp32") -> str:
    """Return why the network with this metadata is not the one of the checkpoint in `folder`; empty if it is."""
    file = FILES[kind]
    if FORMAT_KEY not in metadata:
        return f"{file} was not made by `earmark export`"
    if metadata[FORMAT_KEY] != FORMAT:
        return f"{file} has format {metadata[FORMAT_KEY]!r}, and this version of Earmark knows {FORMAT!r}"
    if (found := metadata.get(PRECISION_KEY)) != kind:
        return f"{file} says that its precision is {found!r}"
    try:
        is_same = metadata.get(WEIGHTS_KEY) == weights_told(folder)
    except OSError as error:
        return f"the weights beside {file} cannot be read ({error.strerror})"
    return "" if is_same else f"{file} was exported from other weights than those beside it"
