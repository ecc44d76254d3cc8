"""Inputs that were wrong once, as files: `corpus/TARGET/NAME`. The tests feed them again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path(__file__).parent / "corpus"


def found(target: str) -> Iterator[Path]:
    """Yield the inputs that are kept for a target."""
    yield from sorted(file for file in (FOLDER / target).glob("*") if file.is_file())


def keep(target: str, data: bytes, folder: Path = FOLDER) -> Path:
    """Write an input to the corpus, and return its file."""
    file = folder / target / f"found-{hashlib.sha256(data).hexdigest()[:12]}"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return file
