"""The JavaScript of the client and of the page, where it needs no browser: run by Node.js."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.daemon import DEADLINE, ROOT

SCRIPTS = sorted((ROOT / "tests" / "web").glob("*.test.js"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_the_claims_of_a_script_hold(script: Path) -> None:
    if shutil.which("node") is None:
        pytest.skip("node is not installed (apt install nodejs)")
    command = ["node", "--test", "--test-timeout=20000", str(script)]

    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE)

    assert done.returncode == 0, done.stdout + done.stderr
