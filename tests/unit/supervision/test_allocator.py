"""The settings of the allocator, and when it returns what is free."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from earmark.supervision.allocator import (
    M_ARENA_MAX,
    M_MMAP_THRESHOLD,
    M_TRIM_THRESHOLD,
    TRIM_SECONDS,
    keep_returning,
    return_freed,
)


@dataclass
class Library:
    calls: dict[int, int] = field(default_factory=dict)
    trims: int = 0

    def mallopt(self, parameter: int, value: int) -> None:
        self.calls[parameter] = value

    def malloc_trim(self, left: int) -> None:
        assert left == 0
        self.trims += 1


def test_blocks_of_a_clip_have_pages_of_their_own() -> None:
    library = Library()
    return_freed({}, library)
    assert library.calls == {M_MMAP_THRESHOLD: 2**18, M_TRIM_THRESHOLD: 2**20, M_ARENA_MAX: 2}


def test_what_a_user_has_set_stays() -> None:
    library = Library()
    return_freed({"MALLOC_ARENA_MAX": "4", "MALLOC_MMAP_THRESHOLD_": "1"}, library)
    assert library.calls == {M_TRIM_THRESHOLD: 2**20}


def test_free_pages_go_back_every_minute() -> None:
    library, pauses = Library(), list[float]()

    async def pause(seconds: float) -> None:
        assert library.trims == len(pauses)
        if len(pauses) == 3:
            raise asyncio.CancelledError
        pauses.append(seconds)

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(keep_returning(library, pause))
    assert pauses == [TRIM_SECONDS] * 3


def test_without_glibc_nothing_happens() -> None:
    return_freed({}, object())
    asyncio.run(keep_returning(object()))
