"""How sound gets to the GPU, and logits back. Pinned and Overlapped have never been run by their authors.

Memory that is pinned cannot be moved by the system, so the GPU reads and writes it by itself while this process goes
on. torch's allocator of such memory does not give a block out again before the copies from and to it have ended, so
no buffer is kept here that could be written too early.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch

from earmark.audio.types import Floats


class Transfers(Protocol):
    """Both ways to a device."""

    def upload(self, samples: Floats, device: torch.device) -> torch.Tensor:
        """Return the samples on the device, a copy of them unless that is the CPU."""
        ...

    def download(self, logits: torch.Tensor) -> Callable[[], Floats]:
        """Return a function that waits for logits in float32, and returns them. It may be called on any thread."""
        ...


def plain(samples: Floats, device: torch.device) -> torch.Tensor:
    """Return the samples on the device, when the copy has ended."""
    return torch.from_numpy(samples).to(device)


class Plain:
    """Each copy waits until it has ended."""

    def upload(self, samples: Floats, device: torch.device) -> torch.Tensor:
        return plain(samples, device)

    def download(self, logits: torch.Tensor) -> Callable[[], Floats]:
        there: Floats = logits.cpu().numpy()
        return lambda: there


class Pinned:
    """Copies through pinned memory, queued on the stream on which the network is run."""

    def upload(self, samples: Floats, device: torch.device) -> torch.Tensor:
        return torch.from_numpy(samples).pin_memory().to(device, non_blocking=True)

    def download(self, logits: torch.Tensor) -> Callable[[], Floats]:
        there = torch.empty(logits.shape, dtype=logits.dtype, pin_memory=True)
        there.copy_(logits, non_blocking=True)
        ended = torch.cuda.Event()  # type: ignore[no-untyped-call]  # torch does not annotate it
        ended.record(torch.cuda.current_stream(logits.device))

        def wait() -> Floats:
            ended.synchronize()
            found: Floats = there.numpy()
            return found

        return wait


class Overlapped(Pinned):
    """Uploads on a stream of its own, so that the sound of a batch arrives while the one before is computed."""

    def __init__(self, device: torch.device) -> None:
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # as above

    def upload(self, samples: Floats, device: torch.device) -> torch.Tensor:
        with torch.cuda.stream(self._stream):
            there = super().upload(samples, device)
        computing = torch.cuda.current_stream(device)
        computing.wait_stream(self._stream)
        there.record_stream(computing)  # so that its memory is not used again before the network has read it
        return there
