"""Weights as safetensors, in a process of its own: `python -m earmark.converting.convert TASK ...`.

    pickles FOLDER FILE...   write FOLDER/model.safetensors with the weights in pickled FILEs
    speechbrain FOLDER ENCODER HEAD LABELS
                             write a checkpoint into FOLDER that is SpeechBrain's in these files

On failure the exit code is 1 and standard error has one sentence.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from earmark.errors import EarmarkError, ModelError
from earmark.foreign import speechbrain
from earmark.plain_file import read_bytes


def main() -> int:
    try:
        match sys.argv[1:]:
            case ["pickles", folder, *files]:
                convert(Path(folder), [Path(file) for file in files])
            case ["speechbrain", folder, encoder, head, labels]:
                convert_speechbrain(Path(folder), Path(encoder), Path(head), Path(labels))
            case _:
                raise ModelError(f"convert: cannot do {sys.argv[1:]}")
    except EarmarkError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def convert(folder: Path, files: list[Path]) -> None:
    """Convert pickled weights to safetensors. Only tensors are unpickled: `weights_only` runs no code of the file.

    Raises ModelError if a file holds anything else.
    """
    weights: dict[str, torch.Tensor] = {}
    for file in files:
        weights |= _unpickled(file)
    _save(weights, folder)


def convert_speechbrain(folder: Path, encoder: Path, head: Path, labels: Path) -> None:
    """Write a checkpoint of transformers with the weights and labels of SpeechBrain's. Raises ModelError."""
    names = speechbrain.labels(read_bytes(labels, speechbrain.MAX_BYTES)[0].decode("utf-8", "replace"))
    weights = {speechbrain.renamed(name): weight for name, weight in _unpickled(encoder).items()}
    config = speechbrain.config({name: tuple(weight.shape) for name, weight in weights.items()}, names)
    output = _unpickled(head)
    shape = (len(names), config["hidden_size"])
    if {name: tuple(weight.shape) for name, weight in output.items()} != {speechbrain.OUTPUT: shape}:
        raise ModelError(f"{head.name} does not hold one weight, {speechbrain.OUTPUT}, of the shape {shape}")
    _save(weights | {"output_mlp.weight": output[speechbrain.OUTPUT]}, folder)
    for name, content in (("config.json", config), ("preprocessor_config.json", speechbrain.EXTRACTOR)):
        (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _unpickled(file: Path) -> dict[str, torch.Tensor]:
    """Return the weights in a pickle. Raises ModelError if it holds anything else."""
    try:
        loaded = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = str(error).strip().partition("\n")[0]
        raise ModelError(f"{file.name} is not a file of weights and nothing else ({reason})") from None
    if not isinstance(loaded, dict) or not all(isinstance(weight, torch.Tensor) for weight in loaded.values()):
        raise ModelError(f"{file.name} holds something other than weights with names")
    # two names may share memory in a pickle, which safetensors does not allow
    return {name: weight.detach().clone().contiguous() for name, weight in loaded.items()}


def _save(weights: dict[str, torch.Tensor], folder: Path) -> None:
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


if __name__ == "__main__":
    sys.exit(main())
