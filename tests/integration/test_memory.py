"""Memory that was freed goes back to the system."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests import checkpoints
from tests.daemon import environment

CHURN = """
import sys
from earmark.app import memory
from earmark.supervision import allocator
if sys.argv[1] == "returned":
    allocator.return_freed()
bytearray(16 * 2**20)  # freed at once: glibc learns that such sizes come and go
before = memory.memory(None).daemon_mb
clips, between = [], []
for _ in range(40):
    clips.append(bytearray(2 * 2**20))
    between.append(bytearray(50_000))  # too large for the holes that imports leave
clips.clear()
print(memory.memory(None).daemon_mb - before)
"""

BATCHES = """
import os, socket, sys
from earmark.engines import wire
from earmark.placement.resident import resident
from earmark.worker.serve import ModelServer, receive
ours, theirs = socket.socketpair()
slots = wire.Slots.create()
server = ModelServer(wire.Start("cpu", "fp32", 1, 4), theirs, slots)
server.load(wire.Load("tiny", sys.argv[1], 16000, int(sys.argv[2])))
with ours.makefile("rb") as replies:
    def answer(kind):
        while True:
            reply = wire.decode_reply(replies.read(int.from_bytes(replies.read(wire.HEADER), "big")))
            if isinstance(reply, kind):
                return reply
    answer(wire.Loaded)
    bytearray(16 * 2**20)  # freed at once: glibc learns that such sizes come and go
    before = resident(os.getpid())
    tensors, between = [], []
    for _ in range(40):
        tensors.append(bytearray(2 * 2**20))
        between.append(bytearray(50_000))
    tensors.clear()
    held = resident(os.getpid())
    server.classify(wire.Classify(1, "tiny", 0, 1, 16000))
    answer(wire.Logits)
    print((held - before) / 1e6, (resident(os.getpid()) - before) / 1e6)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs glibc and /proc")
def test_the_memory_of_clips_goes_back_although_small_objects_lie_between_them() -> None:
    def growth(how: str) -> float:
        command = [sys.executable, "-c", CHURN, how]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, env=environment())
        return float(done.stdout)

    assert growth("as it was") > 40  # else this test shows nothing
    assert growth("returned") < 5


@pytest.mark.skipif(sys.platform != "linux", reason="needs glibc and /proc")
def test_the_memory_of_batches_goes_back_although_small_objects_lie_between_them(tmp_path: Path) -> None:
    command = [sys.executable, "-c", BATCHES, str(checkpoints.save(tmp_path)), str(len(checkpoints.LABELS))]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, env=environment())
    held, left = map(float, done.stdout.split())
    assert held > 40  # else this test shows nothing
    assert left < 20  # of which the network's first forward takes some
