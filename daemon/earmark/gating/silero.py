"""Speech probabilities by Silero VAD, for many streams in one batch.

The model is the ONNX file in the `silero-vad` wheel. The package itself is not imported, because it imports torch and
sets its number of threads. Silero Team, "Silero VAD: pre-trained enterprise-grade Voice Activity Detector",
https://github.com/snakers4/silero-vad (MIT licence).
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from earmark.audio.types import Samples
from earmark.errors import EarmarkError

RATE = 16000  # Hz
STEP = 512  # samples: 32 ms
CONTEXT = 64  # samples before the step that the model gets as well
FRAME = CONTEXT + STEP
_STATE = 128


class Silero:
    """The recurrent state of each stream in a slot. Used on one thread. All share the session of the process."""

    def __init__(self) -> None:
        self._session = _session()
        self._state = np.zeros((2, 0, _STATE), dtype=np.float32)
        self._free: list[int] = []
        self._rate = np.array(RATE, dtype=np.int64)

    def join(self) -> int:
        """Return a slot with a new state for one more stream."""
        if not self._free:
            size = self._state.shape[1]
            more = max(8, size)
            self._state = np.concatenate([self._state, np.zeros((2, more, _STATE), dtype=np.float32)], axis=1)
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
        state = self._state[:, slots]
        inputs = {"input": np.stack(frames), "state": state, "sr": self._rate}
        output, new_state = self._session.run(None, inputs)
        self._state[:, slots] = new_state
        probabilities: npt.NDArray[np.float32] = output[:, 0]
        return probabilities


@functools.cache
def _session() -> Any:
    """Return the session, which is made once: run() may be called on any thread, and one for each recording that is
    analysed would keep some MB until Python's collector of cycles comes round.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only: there are warnings about the graph of this model
    return onnxruntime.InferenceSession(_model_path(), options, providers=["CPUExecutionProvider"])


def _model_path() -> str:
    spec = importlib.util.find_spec("silero_vad")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / "data" / "silero_vad.onnx"
        if path.is_file():
            return str(path)
    raise EarmarkError("the Silero VAD model is missing: pip install 'earmark[daemon]' brings silero-vad")
