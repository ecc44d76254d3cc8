"""A model process that is started before the rest of the daemon is imported, which takes as long as its own imports."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from earmark.checkpoints import child
from earmark.config import settings as config
from earmark.engines import wire
from earmark.launching import launch
from earmark.placement.choice import Engine

NONE_YET = "-1"  # in the place of the descriptor of a connection


class Early:
    """A template without a process that it serves yet, and what the processes of an engine share.

    Left, it ends the process, unless an engine has taken it: that owns `slots`, `log` and the process from then on.
    """

    def __init__(self, engines: Iterable[Engine]) -> None:
        self.slots = wire.Slots.create()
        self.log = os.pipe()
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._is_taken = False
        with theirs:
            shared = (self.slots.fd, theirs.fileno())
            arguments = NONE_YET, self.slots.fd, os.getpid(), theirs.fileno()
            self.process = Running(
                subprocess.Popen(
                    child.command(launch.MODULE, ",".join(sorted(engines)), *map(str, arguments)),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=self.log[1],
                    pass_fds=shared,
                    env=child.environment(),
                )
            )

    def take(self) -> Self:
        """Leave all of it to the caller."""
        self._is_taken = True
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not self._is_taken:
            self.process.kill()
            self.process.reap()
            self.control.close()
            self.slots.close()
            for descriptor in self.log:
                os.close(descriptor)


class Running:
    """A process that was started without an event loop, as asyncio has one: a launch.Process. Linux only."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    @property
    def returncode(self) -> int | None:
        """The exit status, negative for a signal, or None while it runs."""
        return self._process.poll()

    def kill(self) -> None:
        """Kill it, unless it has ended."""
        self._process.kill()

    def reap(self) -> None:
        """Wait for the end without an event loop."""
        self._process.wait()

    async def wait(self) -> int:
        """Return the exit status once it has ended."""
        loop = asyncio.get_running_loop()
        while (status := self._process.poll()) is None:
            ended, watched = loop.create_future(), os.pidfd_open(self._process.pid)
            loop.add_reader(watched, _set, ended)
            try:
                await ended
            finally:
                loop.remove_reader(watched)
                os.close(watched)
        return status


def early(settings: config.Worker, engines: Iterable[Engine]) -> Early | None:
    """Start a template for these engines. None if the settings want none, or if the system cannot start one."""
    if sys.platform != "linux" or not settings.spare or not (wanted := sorted(engines)):
        return None
    try:
        return Early(wanted)
    except OSError:
        return None  # the engine will say so


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
