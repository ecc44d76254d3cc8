"""What somebody may have meant who wrote a name that does not exist."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(word: str, known: Iterable[str], *, cutoff: float = 0.6) -> str:
    """Return "did you mean X?" with the known name nearest to `word`, or an empty string if none is near.

    Names are near whose similarity, from 0 to 1 as difflib measures it, is `cutoff` or more.
    """
    near = get_close_matches(word, list(known), 1, cutoff)
    return f"did you mean {near[0]}?" if near else ""
