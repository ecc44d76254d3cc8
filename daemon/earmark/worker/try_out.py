"""The part of `earmark pull` that needs torch, in a process of its own: `python -m earmark.worker.try_out TASK ...`.

    convert FOLDER FILE...   write FOLDER/model.safetensors with the weights in pickled FILEs
    try NAME FOLDER          load the checkpoint and let it classify a second of noise

On failure the exit code is 1 and standard error has one sentence.
"""

from __future__ import annotations

import sys
from pathlib import Path

from earmark.errors import EarmarkError, ModelError


def main() -> int:
    try:
        match sys.argv[1:]:
            case ["convert", folder, *files]:
                convert(Path(folder), [Path(file) for file in files])
            case ["try", name, folder]:
                try_out(name, Path(folder))
            case _:
                raise ModelError(f"try_out: cannot do {sys.argv[1:]}")
    except EarmarkError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def convert(folder: Path, files: list[Path]) -> None:
    """Convert pickled weights to safetensors. Only tensors are unpickled: `weights_only` runs no code of the file.

    Raises ModelError if a file holds anything else.
    """
    import torch
    from safetensors.torch import save_file

    weights: dict[str, torch.Tensor] = {}
    for file in files:
        try:
            loaded = torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:
            reason = str(error).strip().partition("\n")[0]
            raise ModelError(f"{file.name} is not a file of weights and nothing else ({reason})") from None
        if not isinstance(loaded, dict) or not all(isinstance(weight, torch.Tensor) for weight in loaded.values()):
            raise ModelError(f"{file.name} holds something other than weights with names")
        # two names may share memory in a pickle, which safetensors does not allow
        weights |= {name: weight.detach().clone().contiguous() for name, weight in loaded.items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def try_out(name: str, folder: Path) -> None:
    """Load a checkpoint and classify noise. Raises ModelError if the model process would refuse it."""
    from earmark.checkpoints import reader
    from earmark.worker import model
    from earmark.worker.device import choose_device

    found = reader.read(folder, name)
    loaded = model.load(name, folder, choose_device("cpu"), "fp32")
    loaded.warm_up(found.usual_length, 1)


if __name__ == "__main__":
    sys.exit(main())
