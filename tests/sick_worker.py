"""A model process with a made-up GPU and windows that it cannot bear: `python -m tests.sick_worker`, as the real one.

With two arguments it stands in for the module that says whether a device is there, and imports nothing.

The file that EARMARK_TEST_GPU names says how the GPU "cuda" is: `works`, `gone`, `full` or `broken`. The models really
run on the CPU. A window whose first sample is one of those below does what the name says.

With EARMARK_TEST_CUDA, what only CUDA has is made up too, and the variable says what comes of a capture: it `works`,
`fails` once it was begun, or `dies`. Of two batches that overlap, the first is not done before the second was begun.

With EARMARK_TEST_HELD, it is the real model process, which begins when the file of that name is gone.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

LEAK, BURST, EXCEED, FAIL, SLOW = 0.125, 0.25, 0.375, 0.5, 0.625
LEAKED_BYTES, BURST_BYTES, EXCEEDED_BYTES = 40 * 2**20, 250 * 2**20, 8 * 2**30
BURST_SECONDS, SLOW_SECONDS = 1.5, 0.1
OVERLAP_SECONDS = 20.0

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
            raise ModelError('worker.device: this machine, or this build of torch, has no "cuda"; take "auto" or "cpu"')
        return torch.device("cuda")

    def load_on_cpu(name: str, path: Path, wanted: torch.device, precision: str) -> model.AudioModel:
        if wanted.type == "cuda" and gpu() == "full":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        loaded = load(name, path, choose("cpu"), "fp32")
        loaded.device = wanted
        if not os.environ.get("EARMARK_TEST_CUDA"):
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

    if os.environ.get("EARMARK_TEST_CUDA"):
        make_cuda_up()
    device.choose_device = choose_device
    model.load = load_on_cpu  # type: ignore[assignment]  # the parameter `device` would hide the module
    model.AudioModel.classify = classify_sick  # type: ignore[method-assign]


def make_cuda_up() -> None:
    """Put stand-ins in the place of what only CUDA has: a recorder, and transfers that overlap."""
    import torch

    from earmark.cuda.transfers import Plain, plain
    from earmark.worker import features, model
    from tests.recorder import Recorder, Run, Tape

    maker = features.maker

    class Gpu(Recorder):
        def __init__(self, device: torch.device) -> None:
            super().__init__()

        def record(self, run: Run) -> Tape:
            match os.environ["EARMARK_TEST_CUDA"]:
                case "dies":
                    os.kill(os.getpid(), signal.SIGABRT)
                case "fails":
                    raise RuntimeError("CUDA error: operation not permitted when stream is capturing")
            return super().record(run)

    class Overlapped(Plain):
        begun = 0

        def __init__(self, device: torch.device) -> None:
            pass

        def upload(self, samples: Any, device: torch.device) -> torch.Tensor:
            if float(samples[0, 0]) == FAIL:
                raise ValueError("a window that the model cannot bear")
            return plain(samples, torch.device("cpu"))

        def download(self, logits: torch.Tensor) -> Any:
            there = super().download(logits)
            if threading.current_thread() is not threading.main_thread():  # it warms up
                return there
            Overlapped.begun += 1
            number = Overlapped.begun

            def wait() -> Any:
                if gpu() == "broken":
                    raise RuntimeError("CUDA error: unspecified launch failure")
                deadline = time.monotonic() + OVERLAP_SECONDS
                while number % 2 and Overlapped.begun == number:
                    assert time.monotonic() < deadline, "the second batch was not begun"
                    time.sleep(0.001)
                return there()

            return wait

    def maker_on_cpu(extractor: Any, device: torch.device, upload: Any = plain) -> Any:
        return maker(extractor, torch.device("cpu"), upload)

    vars(model).update(Gpu=Gpu, Overlapped=Overlapped)
    features.maker = maker_on_cpu


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
