"""`earmark serve-ray` in a process of its own, with a Ray that begins and ends with it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil

from tests.daemon import environment

DEADLINE = 420.0  # seconds, until the models serve
REPLICA = "ray::ServeReplica"


class Cluster:
    """The command, which serves `model` at `port`."""

    def __init__(self, folder: Path, port: int, http_port: int, *, replicas: int, model: str) -> None:
        self.port = port
        arguments = ["serve-ray", "--model", model, "--replicas", str(replicas), "--num-cpus", "0.1"]
        arguments += ["--port", str(port), "--http-port", str(http_port)]
        self.log: list[str] = []
        self._ready = threading.Event()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "earmark_client", *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env=environment({"RAY_TMPDIR": str(folder), "RAY_AUTH_MODE": "disabled", "OMP_NUM_THREADS": "1"}),
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def until_ready(self) -> None:
        until = time.monotonic() + DEADLINE
        while not self._ready.wait(0.2):
            assert self._process.poll() is None, self.log[-20:]
            assert time.monotonic() < until, self.log[-20:]

    def replicas(self) -> Sequence[psutil.Process]:
        """The processes that run the model."""
        found = []
        for process in self._offspring():
            with contextlib.suppress(psutil.Error):
                if process.cmdline()[:1] and process.cmdline()[0].startswith(REPLICA):
                    found.append(process)
        return found

    def stop(self) -> None:
        """End everything, the way that a machine that loses power does."""
        offspring = self._offspring()
        self._process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(20)
        for process in (*offspring, psutil.Process(os.getpid())):
            if process.pid != os.getpid():
                with contextlib.suppress(psutil.Error):
                    process.kill()
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        psutil.wait_procs(offspring, 10)
        self._reader.join(10)
        assert self._process.stderr is not None
        self._process.stderr.close()

    def _offspring(self) -> list[psutil.Process]:
        """The processes of its session: Ray starts some of them anew, so that they are nobody's children."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, ProcessLookupError):
                if process.pid != self._process.pid and os.getsid(process.pid) == self._process.pid:
                    found.append(process)
        with contextlib.suppress(psutil.Error):
            found += psutil.Process(self._process.pid).children(recursive=True)
        return list({process.pid: process for process in found}.values())

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.log.append(line.rstrip())
            if "daemons reach the models" in line:
                self._ready.set()


@contextlib.contextmanager
def serving(folder: Path, port: int, http_port: int, *, replicas: int = 1, model: str) -> Iterator[Cluster]:
    """A cluster that serves, until the context is left."""
    cluster = Cluster(folder, port, http_port, replicas=replicas, model=model)
    try:
        cluster.until_ready()
        yield cluster
    finally:
        cluster.stop()
