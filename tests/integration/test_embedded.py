"""The embedded models as whoever runs the daemon meets them: asked by name, listed, checked, with their licences."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from earmark.checkpoints import reader
from earmark.protocol.licence import is_non_commercial
from tests.daemon import DEADLINE, ROOT, Daemon, earmarkd, environment
from tests.posting import RATE, Client, encoded, noisy

EMBEDDED = {name: reader.read(folder, name) for name, folder in reader.embedded().items()}
EACH = pytest.mark.parametrize("name", EMBEDDED)
EXAMPLES = ("voice-commands", "emotion-embedded", "sounds-embedded", "all-three")
NOTICE = "for non-commercial use only"


@pytest.fixture(scope="module")
def silence(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A recording in place of the microphone: the default configuration in all but that."""
    file: Path = tmp_path_factory.mktemp("silence") / "silence.wav"
    file.write_bytes(encoded(np.zeros(RATE // 5), RATE))
    return str(file)


@pytest.fixture(scope="module")
def daemon(silence: str) -> Iterator[Daemon]:
    with Daemon("--file", silence) as running:
        Client(running.address).ready()
        yield running


def listed(daemon: Daemon) -> dict[str, str]:
    """The lines of `earmark models` by the model that they are about."""
    command = [sys.executable, "-m", "earmark_client", "models", daemon.address]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 0, done.stderr
    return {line.removeprefix("*").split()[0]: line for line in done.stdout.splitlines()}


def test_three_models_are_embedded_and_one_is_not_for_commercial_use() -> None:
    assert set(EMBEDDED) >= {"earmark/commands", "earmark/emotion", "earmark/sounds"}
    assert [name for name, found in EMBEDDED.items() if is_non_commercial(found.licence)] == ["earmark/emotion"]


@EACH
def test_by_default_each_answers_over_http_by_its_name(daemon: Daemon, name: str) -> None:
    reply = Client(daemon.address).post(encoded(noisy(1.3)), f"/models/{name}", x_wait_for_model="true")
    assert sorted(reply.labels) == sorted(EMBEDDED[name].labels)  # which asserts 200
    assert list(reply.scores.values()) == sorted(reply.scores.values(), reverse=True)
    assert sum(reply.scores.values()) == pytest.approx(1, abs=1e-3)


def test_the_list_of_models_says_which_is_not_for_commercial_use(daemon: Daemon) -> None:
    lines = listed(daemon)
    assert "  cc-by-nc-sa-4.0 (non-commercial)  embedded" in lines["earmark/emotion"]
    assert [name for name, line in lines.items() if "(non-commercial)" in line] == ["earmark/emotion"]
    for name, found in EMBEDDED.items():
        assert found.licence
        assert found.licence in lines[name]


def test_what_is_served_is_logged_with_its_licence_and_once_what_is_not_for_commercial_use(
    daemon: Daemon,
) -> None:
    assert f"earmark/commands (licence {EMBEDDED['earmark/commands'].licence}) on " in daemon.logged(" serves ")
    assert not any(NOTICE in line for line in daemon.log if "earmark/emotion" not in line)
    for _ in range(2):
        Client(daemon.address).post(encoded(noisy(1)), "/models/earmark/emotion", x_wait_for_model="true")
    assert "serves earmark/emotion (licence cc-by-nc-sa-4.0) too" in daemon.logged("earmark/emotion (")
    told = [line for line in daemon.log if NOTICE in line]
    assert [line.partition("earmark/emotion")[1:] for line in told] == [
        ("earmark/emotion", f": licence cc-by-nc-sa-4.0: {NOTICE}")
    ]


def test_at_the_start_what_is_not_for_commercial_use_is_said_first(silence: str) -> None:
    settings = ROOT / "config" / "examples" / "all-three.toml"
    with Daemon("--config", str(settings), "--file", silence) as daemon:
        daemon.logged("subscribe at")
        assert "earmark/emotion: licence cc-by-nc-sa-4.0: " in next(line for line in daemon.log if NOTICE in line)


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_example_of_an_embedded_model_would_run(example: str) -> None:
    done = earmarkd("--check", "--config", str(ROOT / "config" / "examples" / f"{example}.toml"))
    warnings = [line for line in done.stderr.splitlines() if "there is no default sound device" not in line]
    assert (done.returncode, warnings) == (0, [])
    lines = [line for line in done.stdout.splitlines() if line.startswith("classifier ")]
    assert len(lines) == (3 if example == "all-three" else 1)
    for line in lines:
        used = next(found for found in EMBEDDED.values() if f": {found.name}, " in line)
        kind = " (non-commercial)" if used.name == "earmark/emotion" else ""
        assert line.endswith(f"; licence {used.licence}{kind}")
