"""The processor of this machine, as Linux describes it."""

from __future__ import annotations

import platform
import re
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
FLAGS = re.compile(r"^(?:flags|Features)\s*: (.*)$", re.MULTILINE)  # of x86 and of ARM
NAME = re.compile(r"^(?:model name|Model|Hardware)\s*: (.*)$", re.MULTILINE)


def flags(file: Path = CPUINFO) -> frozenset[str]:
    """Return the names of the processor's abilities, such as avx512_bf16; empty where they are unknown."""
    found = FLAGS.search(_read(file))
    return frozenset(found[1].split()) if found else frozenset()


def name(file: Path = CPUINFO) -> str:
    """Return the name of the processor, or of its kind where it has none."""
    found = NAME.search(_read(file))
    return " ".join(found[1].split()) if found else platform.processor() or platform.machine()


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
