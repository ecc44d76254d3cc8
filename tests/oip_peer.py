"""Others that speak the Open Inference Protocol: a client (tritonclient) and a server (MLServer).

They want older packages than Earmark, so they have an environment of their own: `make .venv/mlserver` makes it.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PYTHON = ROOT / ".venv" / "mlserver" / "bin" / "python"


def python_of_others(package: str) -> str:
    """Return the interpreter that has `package`, or skip the test."""
    if not PYTHON.is_file():
        pytest.skip(f"{package} is not installed: make .venv/mlserver")
    found = subprocess.run([PYTHON, "-c", f"import {package}"], capture_output=True, timeout=120)
    if found.returncode:
        pytest.skip(f"{package} cannot be imported in .venv/mlserver")
    return str(PYTHON)
