"""The last step of `earmark pull`, in a process of its own: `python -m earmark.worker.try_out NAME FOLDER`.

It loads the checkpoint and lets it classify a second of noise. On failure the exit code is 1 and standard error has one
sentence.
"""

from __future__ import annotations

import sys
from pathlib import Path

from earmark.errors import EarmarkError


def main() -> int:
    name, folder = sys.argv[1:]
    try:
        try_out(name, Path(folder))
    except EarmarkError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


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
