"""One life of the model process, as the daemon sees it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable

import msgspec
import numpy as np

from earmark.audio.types import Floats
from earmark.checkpoints import child
from earmark.errors import WorkerError
from earmark.inference import wire

MODULE = "earmark.worker.serve"
START_TIMEOUT = 300.0  # seconds in which an importing or loading process must say something
STOP_TIMEOUT = 1.0  # seconds to end by itself, and as many again to be dead after SIGKILL


class Died(Exception):
    """The process ended before it answered. `guilty` where it was at work on this batch, and not on one before it."""

    def __init__(self, guilty: bool) -> None:
        super().__init__("the model process died")
        self.guilty = guilty


class WorkerProcess:
    """A model process from its start to its death. On the event loop.

    start() it, await run() until it is over, and always end it with stop(). `on_news` is called with each reply that
    is not an answer.
    """

    def __init__(self, slots: wire.Slots, timeout: float, on_news: Callable[[wire.Reply], None]) -> None:
        self._slots = slots
        self._timeout = timeout  # seconds for one batch
        self._on_news = on_news
        self._waiting: dict[int, asyncio.Future[wire.Logits]] = {}  # in the order of the requests, and of the answers
        self._number = 0
        self._loading = 0
        self._alarm: asyncio.TimerHandle | None = None  # for the batch that is at work
        self._loading_alarm: asyncio.TimerHandle | None = None
        self._condemned = ""  # why we killed it
        self._process: Process
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    @property
    def pid(self) -> int:
        return self._process.pid

    async def start(self, start: wire.Start) -> None:
        """Start the process. Raises OSError where the system cannot."""
        ours, theirs = socket.socketpair()
        try:
            self._process = await asyncio.create_subprocess_exec(
                *child.command(MODULE, *map(str, (theirs.fileno(), self._slots.fd, os.getpid()))),
                stdin=DEVNULL,
                stdout=DEVNULL,
                pass_fds=(theirs.fileno(), self._slots.fd),
                env=child.environment(),
            )
            self._reader, self._writer = await asyncio.open_connection(sock=ours)
        except BaseException:
            ours.close()  # ends the process, if there is one
            raise
        finally:
            theirs.close()
        self._send(start)
        self._watch_loading()

    def load(self, request: wire.Load) -> None:
        """Have one more model loaded, beside what is classified meanwhile."""
        self._loading += 1
        self._send(request)
        self._watch_loading()

    def unload(self, model: str) -> None:
        """Have a model freed, after the batches that were sent before."""
        self._send(wire.Unload(model))

    async def classify(self, model: str, slot: int, count: int, length: int) -> Floats:
        """Logits for what is in the slot. Raises Died, and WorkerError where the model failed on it."""
        self._number += 1
        answer = asyncio.get_running_loop().create_future()
        self._waiting[self._number] = answer
        self._send(wire.Classify(self._number, model, slot, count, length))
        if len(self._waiting) == 1:
            self._watch()
        reply: wire.Logits = await answer
        return np.frombuffer(reply.logits, np.float32).reshape(-1, reply.labels)

    async def run(self) -> None:
        """Take replies until the stream ends. Whoever was waiting has Died raised, once the caller lets go of us."""
        try:
            while True:
                header = await self._reader.readexactly(wire.HEADER)
                self._take(wire.decode_reply(await self._reader.readexactly(int.from_bytes(header, "big"))))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        except msgspec.MsgspecError:
            self._condemn("sent nonsense and was killed")
        finally:
            self._cancel_alarms()
            self._give_up()

    async def ended(self) -> str:
        """How the process ended, for a sentence that begins with its name. After run()."""
        status = await self._end()
        return self._condemned or _how_it_ended(status)

    async def stop(self) -> None:
        """Ask the process to end, and see to it. Within two seconds; a process that is still importing is killed."""
        self._cancel_alarms()
        if self._loading:
            self._kill()
        else:
            self._send(wire.Stop())
        await self._end()
        self._writer.close()

    def _take(self, reply: wire.Reply) -> None:
        match reply:
            case wire.Logits(number=number):
                answer = self._waiting.pop(number)
                self._watch()
                if not answer.done():  # it is where its caller was cancelled
                    answer.set_result(reply)
            case wire.Failure(number=number, error=error):
                answer = self._waiting.pop(number)
                self._watch()
                if not answer.done():
                    answer.set_exception(WorkerError(error))
            case _:
                self._loading -= isinstance(reply, wire.Loaded | wire.Refused)
                self._watch_loading()
                self._on_news(reply)

    def _send(self, request: wire.Request) -> None:
        # Requests are a hundred bytes, and two of them at most are unanswered: nothing to wait for. To a dead process
        # asyncio drops them, and run() tells whoever waits.
        self._writer.write(wire.frame(request))

    def _watch(self) -> None:
        """Set the alarm anew: whoever is at work now has its whole time."""
        self._alarm = self._wound(self._alarm, self._timeout if self._waiting else None)

    def _watch_loading(self) -> None:
        """Loading goes on beside the batches, and has an alarm of its own."""
        seconds = max(START_TIMEOUT, self._timeout) if self._loading else None
        self._loading_alarm = self._wound(self._loading_alarm, seconds)

    def _cancel_alarms(self) -> None:
        self._alarm = self._wound(self._alarm, None)
        self._loading_alarm = self._wound(self._loading_alarm, None)

    def _wound(self, alarm: asyncio.TimerHandle | None, seconds: float | None) -> asyncio.TimerHandle | None:
        """In the place of `alarm` one that rings after so many seconds, or none."""
        if alarm is not None:
            alarm.cancel()
        if seconds is None:
            return None
        reason = f"did not answer within {seconds:g} s and was killed"
        return asyncio.get_running_loop().call_later(seconds, self._condemn, reason)

    def _condemn(self, reason: str) -> None:
        self._condemned = reason
        self._kill()

    def _give_up(self) -> None:
        for place, answer in enumerate(self._waiting.values()):
            if not answer.done():
                answer.set_exception(Died(guilty=place == 0))
        self._waiting.clear()

    def _kill(self) -> None:
        if self._process.returncode is None:
            self._process.kill()

    async def _end(self) -> int:
        """The exit status. The process is killed where it does not end by itself."""
        try:
            return await asyncio.wait_for(self._process.wait(), STOP_TIMEOUT)
        except TimeoutError:
            self._kill()
        return await self._process.wait()  # SIGKILL ends even a stopped process


def _how_it_ended(status: int) -> str:
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"
