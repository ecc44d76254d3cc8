"""Memory that was freed goes back to the system."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.daemon import environment

CHURN = """
import sys
from earmark.app import memory
if sys.argv[1] == "returned":
    memory.return_freed()
bytearray(16 * 2**20)  # freed at once: glibc learns that such sizes come and go
before = memory.memory(None).daemon_mb
clips, between = [], []
for _ in range(40):
    clips.append(bytearray(2 * 2**20))
    between.append(bytearray(50_000))  # too large for the holes that imports leave
clips.clear()
print(memory.memory(None).daemon_mb - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs glibc and /proc")
def test_the_memory_of_clips_goes_back_although_small_objects_lie_between_them() -> None:
    def growth(how: str) -> float:
        command = [sys.executable, "-c", CHURN, how]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, env=environment())
        return float(done.stdout)

    assert growth("as it was") > 40  # else this test shows nothing
    assert growth("returned") < 5
