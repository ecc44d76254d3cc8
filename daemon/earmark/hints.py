"""What somebody may have meant who wrote a name that does not exist."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from heapq import nsmallest

MAX_COMPARED = 200  # names; strangers may ask for labels of a model that has thousands, and a comparison takes its time


def did_you_mean(word: str, known: Iterable[str], *, cutoff: float = 0.6) -> str:
    """Return "did you mean X?" with the known name nearest to `word`, or an empty string if none is near.

    Names are near whose similarity, from 0 to 1 as difflib measures it, is `cutoff` or more. Of very many, only those
    are compared that are about as long.
    """
    names = list(known)
    if len(names) > MAX_COMPARED:
        names = nsmallest(MAX_COMPARED, names, key=lambda name: abs(len(name) - len(word)))
    near = get_close_matches(word, names, 1, cutoff)
    return f"did you mean {near[0]}?" if near else ""


def nearest(word: str, known: Sequence[str]) -> str:
    """Return the known name that was meant, or all of them, as the end of a sentence."""
    hint = did_you_mean(word, known, cutoff=0.5) or (f"there are: {', '.join(known)}" if known else "")
    return f"; {hint}" if hint else ""
