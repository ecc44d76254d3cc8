"""The command line of the scripts that train by cross-validation."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Sequence
from pathlib import Path

import torch

EXAMPLES = """examples:
  python -m training.models.{name} --data DATA --out OUT
  EARMARK_DATA=DATA python -m training.models.{name} --out OUT --minutes 60 --seed 2
"""


def arguments(
    name: str, about: str, steps: int, batch: int, argv: Sequence[str] | None, hearings: int = 6
) -> argparse.Namespace:
    """Parse the command line; `steps`, `batch` and `hearings` are defaults."""
    parser = argparse.ArgumentParser(
        prog=f"python -m training.models.{name}",
        description=about,
        epilog=EXAMPLES.format(name=name),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    data, reports = os.environ.get("EARMARK_DATA"), Path("training/reports") / name
    parser.add_argument(
        "--data", type=Path, default=data, required=not data,
        help="folder of the corpora (default: $EARMARK_DATA)",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint")
    parser.add_argument(
        "--base", type=Path, help="file of the encoder to start from (default: the installed package's)"
    )
    parser.add_argument("--reports", type=Path, default=reports, help=f"folder for the pictures (default: {reports})")
    parser.add_argument("--twins", type=Path, help="also write the models of the folds, as fold-0 and so on, there")
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop after so long, all folds together")
    parser.add_argument("--steps", type=int, default=steps, help=f"for each fold (default: {steps})")
    parser.add_argument("--batch", type=int, default=batch, help=f"windows a step (default: {batch})")
    parser.add_argument(
        "--hearings", type=int, default=hearings, help=f"of each recording, beside as it is (default: {hearings})"
    )
    parser.add_argument("--look-every", type=int, default=100, help="steps between looks")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--beside", action="store_true", help="train all models at the same time, as a GPU can")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda (default: auto)")
    return parser.parse_args(argv)


def device_of(name: str) -> str:
    """Return the device that an option means."""
    if name != "auto":
        return name
    return "cuda" if torch.cuda.device_count() else "cpu"  # does not initialise CUDA, so that the process may fork


def name_of(device: str) -> str:
    """Return the device's name for people."""
    if device == "cuda":
        return torch.cuda.get_device_name()
    return f"{torch.get_num_threads()} CPU threads" if device == "cpu" else device
