"""A model process with a made-up GPU and windows that it cannot bear: `python -m tests.sick_worker`, as the real one.

With two arguments it stands in for the module that says whether a device is there, and imports nothing.

The file that EARMARK_TEST_GPU names says how the GPU "cuda" is: `works`, `gone`, `full` or `broken`. The models really
run on the CPU. A window whose first sample is one of those below does what the name says.

With EARMARK_TEST_HELD, it is the real model process, which begins when the file of that name is gone.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

LEAK, BURST, EXCEED, FAIL, SLOW = 0.125, 0.25, 0.375, 0.5, 0.625
LEAKED_BYTES, BURST_BYTES, EXCEEDED_BYTES = 40 * 2**20, 250 * 2**20, 8 * 2**30
BURST_SECONDS, SLOW_SECONDS = 1.5, 0.1

kept: list[Any] = []


def gpu() -> str:
    return Path(os.environ.get("EARMARK_TEST_GPU", os.devnull)).read_text().strip() or "gone"


def infect() -> None:
    """Put the sick parts in the place of the real ones."""
    import numpy as np
    import torch

    from earmark.errors import ModelError
    from earmark.worker import device, model

    choose, load, classify = device.choose_device, model.load, model.AudioModel.classify

    def choose_device(wanted: str) -> torch.device:
        if wanted == "cpu" or (wanted == "auto" and gpu() == "gone"):
            return choose("cpu")
        if gpu() == "gone":
            raise ModelError('worker.device: this machine, or this build of torch, has no "cuda"')
        return torch.device("cuda")

    def load_on_cpu(name: str, path: Path, wanted: torch.device, precision: str) -> model.AudioModel:
        if wanted.type == "cuda" and gpu() == "full":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        loaded = load(name, path, choose("cpu"), "fp32")
        loaded.device = wanted
        loaded.warm_up = lambda length, max_batch: None  # type: ignore[method-assign]
        return loaded

    def classify_sick(self: model.AudioModel, samples: Any) -> Any:
        if self.device.type == "cuda" and gpu() == "broken":
            raise RuntimeError("CUDA error: unspecified launch failure")
        for first in map(abs, map(float, samples[:, 0])):
            if first == LEAK:
                kept.append(np.ones(LEAKED_BYTES, np.uint8))
            elif first == BURST:
                burst = np.ones(BURST_BYTES, np.uint8)
                time.sleep(BURST_SECONDS)
                del burst
            elif first == EXCEED:
                torch.ones(EXCEEDED_BYTES // 4)
            elif first == FAIL:
                raise ValueError("a window that the model cannot bear")
            elif first == SLOW:
                time.sleep(SLOW_SECONDS)
        return classify(self, samples)

    device.choose_device = choose_device
    model.load = load_on_cpu  # type: ignore[assignment]  # the parameter `device` would hide the module
    model.AudioModel.classify = classify_sick  # type: ignore[method-assign]


if __name__ == "__main__":
    if len(sys.argv) == 3:  # asked for a device, as earmark.worker.device is
        sys.exit(gpu() == "gone")
    held = os.environ.get("EARMARK_TEST_HELD", "")
    while held and Path(held).exists():
        time.sleep(0.02)
    from earmark.worker import serve

    if not held:
        infect()
    serve.main()
