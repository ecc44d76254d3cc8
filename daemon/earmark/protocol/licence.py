"""What the licence that a model's card names says about commercial use.

Standard library only, because clients import this module.
"""

from __future__ import annotations

import re
from itertools import pairwise

_WORD = re.compile(r"[a-z0-9]+")


def is_non_commercial(licence: str) -> bool:
    """Whether the name itself says so: by the word "nc" or "noncommercial", or "commercial" right after "non".

    Words are runs of letters and digits, in any case. That covers Creative Commons' NC licences and whatever has
    non-commercial in its name, as the Hub and SPDX write them, and spares NCSA. False says only that the name does not
    tell: a research licence may forbid commercial use under a name of its own, and no name tells nothing.
    """
    words = _WORD.findall(licence.lower())
    return bool({"nc", "noncommercial"} & {*words}) or ("non", "commercial") in pairwise(words)


def told(licence: str) -> str:
    """For a list that people read: the name, or that it is unknown, and what it forbids."""
    return f"{licence} (non-commercial)" if is_non_commercial(licence) else licence or "unknown"
