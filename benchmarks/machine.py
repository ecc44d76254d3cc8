"""The machine that the figures come from: what a reader must know before comparing them with others."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Instructions that decide how fast networks run on a CPU, as /proc/cpuinfo names them
FLAGS = (
    "avx2",
    "fma",
    "avx_vnni",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "amx_int8",
    "amx_bf16",
    "asimd",
    "asimddp",
    "bf16",
)
PACKAGES = ("numpy", "onnxruntime", "torch", "transformers", "websockets", "uvicorn")
STEAL, TOTAL = 7, 8  # of the first line of /proc/stat: time that the hypervisor took, and how many columns count


class Machine:
    """The machine from now on: told() says what it is, and how busy it was since this was made."""

    def __init__(self) -> None:
        self._began = time.time()
        self._load = os.getloadavg()[0]
        self._times = _times()

    def told(self) -> dict[str, Any]:
        """Return what is known of the machine and of the time since this was made."""
        model, flags = _cpu()
        spent = [now - before for now, before in zip(_times(), self._times, strict=True)]
        steal = spent[STEAL] / sum(spent) if sum(spent) else 0.0
        return {
            "date": time.strftime("%Y-%m-%d %H:%M", time.localtime(self._began)),
            "minutes": round((time.time() - self._began) / 60, 1),
            "commit": _commit(),
            "cpu": model,
            "flags": flags,
            "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
            "memory_gb": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9),
            "gpu": _gpu(),
            "load_before": round(self._load, 2),
            "load_after": round(os.getloadavg()[0], 2),
            "steal_percent": round(100 * steal, 2),
            "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
            "packages": dict(_versions()),
        }


def print_head(told: dict[str, Any]) -> None:
    """Print what told() returned, above a table."""
    packages = ", ".join(f"{name} {version}" for name, version in told["packages"].items())
    print(f"{told['date']}, {told['minutes']} minutes, commit {told['commit']}")
    print(f"{told['cpu']}, {told['cores']} cores, {told['memory_gb']} GB; GPU: {told['gpu'] or 'none'}")
    print(f"of its instructions: {' '.join(told['flags']) or 'none of those that matter'}")
    load = f"load {told['load_before']} before and {told['load_after']} after"
    print(f"{load}; stolen {told['steal_percent']} % of the time")
    print(f"{told['system']}; {packages}\n")


def _times() -> list[int]:
    """Return the ticks of all cores by what they went to; zeros where the system does not tell."""
    try:
        words = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    except OSError:
        return [0] * TOTAL
    return [int(word) for word in words[1 : 1 + TOTAL]]


def _cpu() -> tuple[str, list[str]]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine(), []
    found = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    here = set((found.get("flags") or found.get("Features") or "").split())
    named = found.get("model name") or platform.machine()
    return f"{named} (model {found['model']})" if "model" in found else named, [flag for flag in FLAGS if flag in here]


def _gpu() -> str:
    if shutil.which("nvidia-smi") is None:
        return ""
    asked = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    return subprocess.run(asked, capture_output=True, text=True, check=False, timeout=20).stdout.strip()


def _commit() -> str:
    asked = ["git", "describe", "--always", "--dirty"]
    folder = Path(__file__).parent
    if shutil.which("git") is None:
        return "unknown"
    return subprocess.run(asked, capture_output=True, text=True, check=False, cwd=folder).stdout.strip() or "unknown"


def _versions() -> Iterator[tuple[str, str]]:
    for name in PACKAGES:
        try:
            yield name, importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
