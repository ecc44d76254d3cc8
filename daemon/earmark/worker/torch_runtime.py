"""The runtime of torch: it runs every checkpoint, and on GPUs. Importing it imports torch and transformers."""

from __future__ import annotations

import torch

from earmark.runtimes.runtime import Wanted
from earmark.worker import device as devices
from earmark.worker import model
from earmark.worker.model import free_memory, is_broken, is_short_of_memory

__all__ = ["choose", "free_memory", "is_broken", "is_short_of_memory", "load"]


def choose(device: str) -> str:
    """Return the device that the settings' `device` means here. Raises ModelError if it is not there."""
    return str(devices.choose_device(device))


def load(wanted: Wanted) -> model.AudioModel:
    """Load a checkpoint. Raises ModelError if it cannot be served."""
    model.use_threads(wanted.threads)
    device = torch.device(wanted.device)
    loaded = model.load(wanted.name, wanted.folder, device, wanted.precision).with_threads(wanted.threads)
    return loaded.with_cuda(wanted) if device.type == "cuda" else loaded
