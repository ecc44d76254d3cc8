"""A daemon that listens to nothing and answers clips."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.daemon import Daemon
from tests.posting import Client, encoded, word


@pytest.mark.parametrize("classifiers", ["", "classifier = []"])
def test_a_daemon_without_a_source_is_ready_and_answers_clips(classifiers: str, tmp_path: Path) -> None:
    settings = tmp_path / "earmark.toml"
    settings.write_text(f"source = []\n{classifiers}\n[worker]\nthreads = 1\n")
    with Daemon("--config", str(settings)) as daemon:
        client = Client(daemon.address)
        client.ready()
        ready = client.get("/ready")
        assert (ready.status, ready.json) == (200, {"ready": True, "clips": True})
        assert client.get("/ready?for=listening").status == 503
        assert client.get("/ready?for=singing").status == 400
        assert client.post(encoded(word("yes")), "/").status == 200
        daemon.logged("no source; clips over HTTP are classified")
        assert daemon.end() == 0
