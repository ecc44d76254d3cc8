"""What is resident, and the settings of the allocator."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field

import pytest

from earmark.app.memory import M_ARENA_MAX, M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, memory, return_freed


@dataclass
class Library:
    calls: dict[int, int] = field(default_factory=dict)

    def mallopt(self, parameter: int, value: int) -> None:
        self.calls[parameter] = value


def test_blocks_of_a_clip_have_pages_of_their_own() -> None:
    library = Library()
    return_freed({}, library)
    assert library.calls == {M_MMAP_THRESHOLD: 2**18, M_TRIM_THRESHOLD: 2**20, M_ARENA_MAX: 2}


def test_what_a_user_has_set_stays() -> None:
    library = Library()
    return_freed({"MALLOC_ARENA_MAX": "4", "MALLOC_MMAP_THRESHOLD_": "1"}, library)
    assert library.calls == {M_TRIM_THRESHOLD: 2**20}


def test_without_glibc_nothing_happens() -> None:
    return_freed({}, object())
    assert memory(None).worker_mb is None


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_what_is_resident_is_told_in_mb_and_of_a_process_that_is_gone_nothing() -> None:
    mine = memory(os.getpid())
    assert mine.daemon_mb is not None
    assert 10 < mine.daemon_mb < 10_000
    assert mine.worker_mb == pytest.approx(mine.daemon_mb, abs=5)
    assert memory(2**22 + 1).worker_mb is None
