"""Who is trained on and who is kept back.

A person is on one side in every corpus, because the side is a hash of the speaker and of nothing
else: the two versions of Speech Commands name their speakers by the same ids. The split needs no
list, and does not move when clips are added.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Literal

Side = Literal["train", "dev", "test"]


def side_of(speaker: str) -> Side:
    """75 % of all speakers to train, 10 % to choose by (dev), 15 % to report (test)."""
    twentieth = int(sha256(f"earmark:{speaker}".encode()).hexdigest()[:8], 16) % 20
    return "train" if twentieth < 15 else "dev" if twentieth < 17 else "test"
