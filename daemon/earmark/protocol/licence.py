"""Whether a licence allows commercial use, as far as its name tells.

Clients import this module, so it needs nothing but the standard library.
"""

from __future__ import annotations

import re
from itertools import pairwise

_WORD = re.compile(r"[a-z0-9]+")


def is_non_commercial(licence: str) -> bool:
    """Return whether the name forbids it: by the word "nc" or "noncommercial", or "commercial" right after "non".

    Words are runs of letters and digits, in any case. That covers Creative Commons' NC licences and every name with
    "non-commercial" in it, as the Hugging Face Hub and SPDX write them, and does not catch NCSA. False says only that
    the name does not tell: a research licence may forbid commercial use under a name of its own.
    """
    words = _WORD.findall(licence.lower())
    return bool({"nc", "noncommercial"} & {*words}) or ("non", "commercial") in pairwise(words)


def told(licence: str) -> str:
    """Return the name for a list that people read, with a note if it forbids commercial use; "unknown" for none."""
    return f"{licence} (non-commercial)" if is_non_commercial(licence) else licence or "unknown"
