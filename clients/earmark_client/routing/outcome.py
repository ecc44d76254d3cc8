"""How an action ended, and when one that failed is tried again. Nothing here waits or knows the time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds between two tries; each pause is twice the one before


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an action ended. `detail` says more for people, and `output` are the last lines that a program printed.

    `again`: another try may help. `pause` are the seconds that the other side asks for before it.
    """

    how: Literal["done", "failed", "timeout", "stopped"]
    detail: str = ""
    exit_code: int | None = None
    output: str = ""
    again: bool = False
    pause: float = 0.0


def pause_before(tries: int, outcome: Outcome) -> float:
    """Return the seconds before the next try after `tries` of them, the last of which had this outcome."""
    doubled: float = FIRST_PAUSE * 2 ** (tries - 1)
    return min(max(doubled, outcome.pause), LONGEST_PAUSE)
