"""Starts model processes: each by itself, or forked from a template, a process that has imported their engines already.

Importing torch and transformers takes seconds, and for so long no sound is classified after a model process died. A
fork of the template begins to serve at once. The two share the memory of what was imported: it is hardly written to.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL
from collections.abc import Set
from typing import Protocol

from earmark.checkpoints import child
from earmark.engines import wire
from earmark.placement.choice import Engine

MODULE = "earmark.worker.serve"
IMPORT_SECONDS = 300.0  # within which a process that may import torch first must begin to serve
FORK_SECONDS = 10.0  # the same for a fork of a template


class Process(Protocol):
    """A process that was started, as asyncio has it."""

    @property
    def returncode(self) -> int | None:
        """The exit status, or None while it runs."""
        ...

    def kill(self) -> None:
        """Kill it."""

    async def wait(self) -> int:
        """Return the exit status once it has ended."""
        ...


class Child(Protocol):
    """A model process that was started. `begins_within` is how many seconds it may take until it serves."""

    begins_within: float

    def serves(self, pid: int) -> None:
        """Note that it serves, under this process id."""

    def kill(self) -> None:
        """Kill it. A second call also kills the process that it was forked from."""

    async def wait(self) -> int:
        """Return its exit status, negative for a signal, once it has ended."""
        ...


class Launcher:
    """Starts one model process after the other. On the event loop.

    The caller starts one when the one before has ended, and calls close() at the end. `template` is one that was
    started before.
    """

    def __init__(self, slots: wire.Slots, errors: int, *, spare: bool, template: Template | None = None) -> None:
        self._slots = slots
        self._errors = errors
        self._spare = spare and sys.platform == "linux"
        self._template = template

    @property
    def has_spare(self) -> bool:
        """Whether the next process begins to serve at once."""
        return self._template is not None and self._template.is_alive

    async def start(self, connection: socket.socket, engines: Set[Engine]) -> Child:
        """Start a process that serves `connection`, which the caller closes, and imports these engines before.

        A template that is there already imports no more; its fork does when a model needs it. Raises OSError if the
        system cannot start a process.
        """
        if not self._spare:
            return Started(await self._run(engines, connection))
        if self._template is not None and self._template.is_alive:
            return self._template.fork(connection)
        await self.close()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            try:
                self._template = Template(await self._run(engines, connection, theirs), ours)
            except BaseException:
                ours.close()
                raise
        return self._template.first()

    async def close(self) -> None:
        """End the template, if there is one."""
        if self._template is not None:
            await self._template.close()
            self._template = None

    async def _run(self, engines: Set[Engine], *connections: socket.socket) -> Process:
        descriptors = [connections[0].fileno(), self._slots.fd, *(each.fileno() for each in connections[1:])]
        arguments = [connections[0].fileno(), self._slots.fd, os.getpid(), *descriptors[2:]]
        return await asyncio.create_subprocess_exec(
            *child.command(MODULE, ",".join(sorted(engines)), *map(str, arguments)),
            stdin=DEVNULL,
            stdout=DEVNULL,
            stderr=self._errors,
            pass_fds=descriptors,
            env=child.environment(),
        )


class Started:
    """A Child that imports its engines itself."""

    begins_within = IMPORT_SECONDS

    def __init__(self, process: Process) -> None:
        self._process = process

    def serves(self, pid: int) -> None:
        pass  # the process that was started

    def kill(self) -> None:
        _kill(self._process)

    async def wait(self) -> int:
        return await self._process.wait()


class Template:
    """The process that the model processes are forked from. `control` is our end of the socket to it."""

    def __init__(self, process: Process, control: socket.socket) -> None:
        control.setblocking(False)
        self._process = process
        self._control = control
        self._children: list[Forked] = []
        self._has_forked = False

    @property
    def is_alive(self) -> bool:
        return self._process.returncode is None

    def first(self) -> Forked:
        """Return the process that it forks by itself as soon as it has imported what it needs."""
        return self._follow()

    def fork(self, connection: socket.socket) -> Forked:
        """Have it fork one that serves `connection`. Raises OSError."""
        socket.send_fds(self._control, [b"fork"], [connection.fileno()])
        return self._follow()

    async def status(self) -> int:
        """Return the exit status of the process that was forked last, or how the template itself ended."""
        with contextlib.suppress(ConnectionError):
            if status := await asyncio.get_running_loop().sock_recv(self._control, 16):
                return int(status)
        return await self._process.wait()

    def kill(self) -> None:
        """Kill it, and with it the process that was forked last."""
        _kill(self._process)

    async def close(self) -> None:
        """Let it end, after the processes that it forked; kill it after a second."""
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)
        try:
            await asyncio.wait_for(self._process.wait(), 1)
        except TimeoutError:
            self.kill()
            await self._process.wait()
        for forked in self._children:
            await forked.wait()
        self._control.close()

    def _follow(self) -> Forked:
        begins_within = FORK_SECONDS if self._has_forked else IMPORT_SECONDS
        self._has_forked = True
        self._children = [Forked(self, begins_within)]  # the ones before have ended
        return self._children[0]


class Forked:
    """A Child that a template forks."""

    def __init__(self, template: Template, begins_within: float) -> None:
        self.begins_within = begins_within
        self._template = template
        self._pid: int | None = None  # not known before it serves
        self._is_killed = False
        self._status = asyncio.ensure_future(template.status())

    def serves(self, pid: int) -> None:
        self._pid = pid

    def kill(self) -> None:
        # The template keeps a dead process until it is told to fork again or to end, so the id is still that one's
        if self._pid is None or self._is_killed:
            self._template.kill()
        elif not self._status.done():
            os.kill(self._pid, signal.SIGKILL)
        self._is_killed = True

    async def wait(self) -> int:
        return await asyncio.shield(self._status)


def _kill(process: Process) -> None:
    if process.returncode is None:
        process.kill()
