"""The devices of this machine that torch can use: `python -m earmark.worker.device DEVICE PRECISION` asks for one.

The exit code is 1, and standard error has one sentence, if torch cannot run models there.
"""

from __future__ import annotations

import sys

import torch

from earmark.errors import ModelError

# In the order of speed on CPUs with VNNI or AMX instructions, of 2021 and later
ENGINES = ("onednn", "x86", "fbgemm", "qnnpack")


def main() -> int:
    device, precision = sys.argv[1:]
    try:
        chosen = choose_device(device)
        if precision == "int8":
            int8_engine(chosen)
    except ModelError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def choose_device(wanted: str) -> torch.device:
    """Return the device `wanted`, or the best one for "auto". Raises ModelError if the machine does not have it."""
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        wanted = next(device for device, there in present.items() if there)
    kind, _, number = wanted.partition(":")
    if not present[kind]:
        raise ModelError(f'worker.device: this machine, or this build of torch, has no "{kind}"; take "auto" or "cpu"')
    if number and int(number) >= (count := torch.cuda.device_count()):
        raise ModelError(f'worker.device: there is no "{wanted}"; the last GPU of this machine is cuda:{count - 1}')
    return torch.device(wanted)


def int8_engine(device: torch.device) -> str:
    """Return the name of torch's fastest engine for int8 on `device`. Raises ModelError if there is none."""
    if device.type != "cpu":
        raise ModelError(f'worker.precision: "int8" is for the CPU; on "{device.type}" take "bf16" or "fp32"')
    supported = torch.backends.quantized.supported_engines
    engine = next((name for name in ENGINES if name in supported), None)
    if engine is None:
        raise ModelError('worker.precision: this build of torch has no int8; take "fp32"')
    return engine


if __name__ == "__main__":
    sys.exit(main())
