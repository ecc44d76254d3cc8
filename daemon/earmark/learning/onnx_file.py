"""`model.onnx` for a model that was just learnt, so that a daemon needs no torch for it.

The work is that of `earmark export`, in a process of its own, see exporting/run.py.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from earmark.checkpoints import child
from earmark.checkpoints.exported import BRIEF
from earmark.errors import ModelError

PACKAGE = "onnx"


class Run(Protocol):
    """Runs a module in a process of its own, and gives each line that it prints to `tell`, as child.run() does."""

    def __call__(self, module: str, *arguments: str, tell: Callable[[str], None]) -> None: ...


def is_installed() -> bool:
    """Return whether the package is there that writes files of ONNX."""
    return find_spec(PACKAGE) is not None


def write(
    name: str,
    staged: Path,
    folder: Path,
    tell: Callable[[str], None],
    is_installed: Callable[[], bool] = is_installed,
    run: Run = child.run,
) -> str:
    """Export the model in the folder `staged`, which becomes `folder`.

    Returns a sentence on what a daemon needs for the model. One that cannot be exported is a whole model all the same.
    """
    without = f"no model.onnx was written, so a daemon needs torch for {name}: "
    if not is_installed():
        return without + f"pip install 'earmark[export]', and then: earmark export {shlex.quote(str(folder))}"
    tell(f"writing model.onnx, with which a daemon needs no torch for {name}")
    try:
        run("earmark.exporting.run", BRIEF, name, str(staged), "fp32", tell=tell)
    except ModelError as error:
        return without + str(error)
    return f"a daemon runs {name} without torch on a CPU"
