"""Speech probabilities by Silero VAD, for many streams in one batch."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import threadpoolctl
from safetensors import SafetensorError
from safetensors.numpy import load_file

from earmark.audio.types import Samples
from earmark.errors import EarmarkError
from earmark.gating.silero_network import FRAME, STATE, SileroNetwork

RATE = 16000  # Hz
STEP = 512  # samples: 32 ms
CONTEXT = FRAME - STEP  # samples before the step that the network hears as well
# Frames that go through the network together. Of more, its arrays have 256 KiB and more, for which the C library may
# fetch new pages each time (see supervision/allocator.py), and that costs as much as the work.
TOGETHER = 64
WEIGHTS = Path(__file__).parent / "weights" / "silero_vad_16k.safetensors"


class Silero:
    """The recurrent state of each stream in a slot. Used on one thread. All share the network of the process."""

    def __init__(self) -> None:
        self._network = _network()
        self._state = np.zeros((2, 0, STATE), dtype=np.float32)  # the LSTM's output and cell
        self._free: list[int] = []

    def join(self) -> int:
        """Return a slot with a new state for one more stream."""
        if not self._free:
            size = self._state.shape[1]
            more = max(8, size)
            self._state = np.concatenate([self._state, np.zeros((2, more, STATE), dtype=np.float32)], axis=1)
            self._free = list(range(size + more - 1, size - 1, -1))
        slot = self._free.pop()
        self.forget(slot)
        return slot

    def fork(self, slot: int) -> int:
        """Return a slot for one more stream, with the state of another one that has heard the same."""
        forked = self.join()
        self._state[:, forked] = self._state[:, slot]
        return forked

    def leave(self, slot: int) -> None:
        """Give back the slot of a stream that has ended."""
        self._free.append(slot)

    def forget(self, slot: int) -> None:
        """Reset the state of a slot, because its stream has a gap."""
        self._state[:, slot] = 0

    def probabilities(self, slots: Sequence[int], frames: Sequence[Samples]) -> npt.NDArray[np.float32]:
        """Return the speech probabilities, shape (n,), of one step of each of n different streams.

        A frame has the shape (576,): the 512 samples of the step at 16 kHz and the 64 before it, or zeros where there
        are none.
        """
        found = np.empty(len(slots), np.float32)
        for first in range(0, len(slots), TOGETHER):
            some = slots[first : first + TOGETHER]
            heard = np.concatenate(frames[first : first + TOGETHER]).reshape(-1, FRAME)
            output, cell = self._state[:, some]
            found[first : first + TOGETHER], output, cell = self._network.forward(heard, output, cell)
            self._state[0, some], self._state[1, some] = output, cell
        return found


@functools.cache
def _network() -> SileroNetwork:
    """Return the network, which is loaded once, and multiplies on the caller's thread alone.

    A step of 512 streams is half a millisecond of work: other threads would take longer to wake, and take the cores of
    the models.
    """
    threadpoolctl.threadpool_limits(1, user_api="blas")
    try:
        return SileroNetwork(load_file(WEIGHTS))
    except (OSError, SafetensorError) as error:
        raise EarmarkError(f"the speech gate's weights cannot be read: {error}; install earmark again") from None
