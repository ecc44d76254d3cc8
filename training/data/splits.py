"""Split the speakers into those to train on and those that are kept back.

The side is a hash of the speaker's name and of nothing else, so that a person is on the same side in every corpus: the
two versions of Speech Commands name their speakers by the same ids. The split needs no list, and does not change when
clips are added.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Literal

Side = Literal["train", "dev", "test"]


def side_of(speaker: str) -> Side:
    """Return the speaker's side: train for 75 % of all speakers, dev (to choose by) for 10 %, test for 15 %."""
    twentieth = int(sha256(f"earmark:{speaker}".encode()).hexdigest()[:8], 16) % 20
    return "train" if twentieth < 15 else "dev" if twentieth < 17 else "test"
