"""The licence that a model card names, read without a YAML parser."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence


def licence(card: str) -> str:
    """Return the licence in the front matter of a model card, or an empty text.

    That is `license:`, a name or a list, and `license_name:`, which cards of the Hub give beside `license: other`.
    """
    front = re.match(r"\s*---[ \t]*\n(.*?)\n---", card, re.DOTALL)
    lines = front[1].splitlines() if front else []
    names = [*_values("license", lines), *_values("license_name", lines)]
    return "".join(filter(str.isprintable, ", ".join(names)))  # it is printed to terminals and logs


def _values(key: str, lines: Sequence[str]) -> list[str]:
    """Return the value on the line of `key`, or else the values of the list or the text below that line."""
    for at, line in enumerate(lines):
        if line.startswith(f"{key}:"):
            behind = line[len(key) + 1 :]
            below = itertools.takewhile(lambda other: re.match(r"[ \t]|-[ \t]", other), lines[at + 1 :])
            texts = [behind, *(re.sub(r"^[ \t]*(-[ \t]+)?", "", other) for other in below)]
            bare = (re.split(r"[ \t]#", text)[0].strip().strip("\"'") for text in texts)
            return [text for text in bare if text and not re.fullmatch(r"[>|][+-]?|#.*", text)]
    return []
