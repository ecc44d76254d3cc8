"""Pieces of formats that several targets grow: JSON and TOML values."""

from __future__ import annotations

import json
from collections.abc import Sequence
from random import Random

SCALARS = (
    *("null", "true", "false", "0", "1", "-1", "0.5", "3.0", "-0.0", "1e5", "1e400", "1E+2", "0.1e-400", "1.0"),
    *("9007199254740993", "18446744073709551616", "1" * 100, "1" * 4400, "NaN", "Infinity", "01", "+1", "1.", ".5"),
    *('""', '"\\u0000"', '"\\ud800"', '"\\ud83d\\ude00"', '"a\\nb"', '"\\/"', '"é"', '"\u2028"', "{}", "[]"),
)


def json_text(chance: Random, words: Sequence[str], depth: int = 3) -> str:
    """Return a JSON value, or nearly one."""
    kind = chance.random()
    if kind < 0.4 or depth == 0:
        return json.dumps(chance.choice(words), ensure_ascii=chance.random() < 0.5)
    if kind < 0.7:
        return chance.choice(SCALARS)
    if kind < 0.72:
        return "[" * chance.choice((10, 300, 990, 5000))
    if kind < 0.74:
        depth = chance.choice((100, 500, 900, 960, 990))
        return "[" * depth + "]" * depth
    inner = [json_text(chance, words, depth - 1) for _ in range(chance.randrange(4))]
    if kind < 0.9:
        return "[" + ",".join(inner) + "]"
    return "{" + ",".join(f"{json.dumps(chance.choice(words))}:{value}" for value in inner) + "}"
