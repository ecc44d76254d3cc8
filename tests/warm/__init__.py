"""Model processes that begin at once, because they are forked from one that has imported torch and transformers.

Each start of a daemon else costs seconds of import, and the tests start some two hundred. Processes that have
tests/warm/site in PYTHONPATH and the address below in the environment take part: sitecustomize.py there finds out
whether the process is one of the modules that import torch, and asks tests.warm.template to run it.

Tests that are about the start itself call `alone()`, or start their daemon with ALONE in its environment.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SITE = Path(__file__).parent / "site"
ADDRESS = "EARMARK_TESTS_TEMPLATE"  # the variable with the path of the template's socket
ALONE = {ADDRESS: ""}


@contextmanager
def template() -> Iterator[None]:
    """Have a template at hand, which imports torch when it is first asked."""
    if sys.platform != "linux" or find_spec("torch") is None:
        yield
        return
    paths = os.pathsep.join(map(str, (ROOT / "daemon", ROOT / "clients", ROOT)))
    with tempfile.TemporaryDirectory(prefix="earmark-warm-") as folder, pytest.MonkeyPatch.context() as patch:
        address = f"{folder}/template"
        process = subprocess.Popen(
            [sys.executable, "-P", str(SITE.parent / "template.py"), address],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": paths, "OMP_WAIT_POLICY": "passive"},
        )
        assert process.stdout is not None
        process.stdout.read()  # until it listens
        patch.setenv(ADDRESS, address)
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(SITE)])))
        try:
            yield
        finally:
            process.communicate()  # it ends with its standard input


def alone(patch: pytest.MonkeyPatch) -> None:
    """Let model processes start by themselves, as those of users do."""
    patch.delenv(ADDRESS, raising=False)
