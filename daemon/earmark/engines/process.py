"""One model process, from its start to its death, as the daemon sees it."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Sequence, Set

import msgspec
import numpy as np

from earmark.audio.types import Floats
from earmark.engines import wire
from earmark.engines.growth import Growth
from earmark.engines.silence import SilenceTimer
from earmark.errors import LabelsRefused, WorkerError
from earmark.launching.launch import Child, Launcher
from earmark.placement.choice import Engine
from earmark.placement.resident import resident

LOADING_TIMEOUT_SECONDS = 300.0  # within which a process that loads must tell something of a model
STOP_TIMEOUT_SECONDS = 1.0  # for the process to end by itself; then it is killed
MB = 1e6


class Died(Exception):
    """The process ended before it answered. `guilty` if it was at work on this batch and not on one before it."""

    def __init__(self, guilty: bool) -> None:
        super().__init__("the model process died")
        self.guilty = guilty


class WorkerProcess:
    """A model process. On the event loop.

    The caller starts it, awaits run() until it has died, and calls stop() in any case. `on_reply` is called with each
    reply that does not answer a batch, and `on_silence` with whether the process is silent when that changes.
    `growth` bounds its memory, if that is bounded; `on_outgrown` is called with a sentence when it has grown too far
    and shall be retired.
    """

    def __init__(
        self,
        launcher: Launcher,
        timeout: float,
        on_reply: Callable[[wire.Reply], None],
        on_silence: Callable[[bool], None],
        *,
        growth: Growth | None = None,
        on_outgrown: Callable[[str], None] = lambda reason: None,
    ) -> None:
        self._launcher = launcher
        self._timeout_seconds = timeout  # for one batch
        self._on_reply = on_reply
        self._silence = SilenceTimer(on_silence, self._kill_because, lambda: bool(self._loading))
        self._growth = growth
        self._on_outgrown = on_outgrown
        self._waiting: dict[int, asyncio.Future[wire.Logits]] = {}  # in the order of the requests
        self._number = 0  # of the newest batch
        self._loading = 0  # models that are neither loaded nor refused yet
        self._begin_timer: asyncio.TimerHandle | None = None
        self._batch_timer: asyncio.TimerHandle | None = None  # for the batch that the process is at work on
        self._loading_timer: asyncio.TimerHandle | None = None
        self._is_serving = False
        self._pid: int | None = None
        self._retirement = ""  # why it is to end after the batches that it has; empty if it is not
        self._died_at_work = False  # whether it ended before all batches were answered
        self._is_blamed = False  # whether a batch was found guilty already, so that no other one is
        self._kill_reason = ""  # empty if we did not kill the process
        self.outgrew = False  # whether it was ended because of its memory
        self._child: Child
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def start(self, start: wire.Start, engines: Set[Engine]) -> None:
        """Start the process, which imports these engines. Raises OSError if the system cannot."""
        ours, theirs = socket.socketpair()
        try:
            self._child = await self._launcher.start(theirs, engines)
            self._reader, self._writer = await asyncio.open_connection(sock=ours)
        except BaseException:
            ours.close()  # ends the process, if there is one
            raise
        finally:
            theirs.close()
        self._send(start)
        self._begin_timer = self._restarted(None, self._child.begins_within)

    def load(self, request: wire.Load) -> None:
        """Have one more model loaded, beside the batches that are classified meanwhile."""
        self._loading += 1
        self._send(request)
        self._time_loading()

    def unload(self, model: str) -> None:
        """Have a model freed, once the batches that were sent before are answered."""
        self._send(wire.Unload(model))

    async def classify(self, model: str, slot: int, count: int, length: int) -> Floats:
        """Return the logits for the `count` windows of `length` samples in `slot`.

        Raises Died, and WorkerError if the model failed on them.
        """
        return await self._answer(lambda number: wire.Classify(number, model, slot, count, length))

    async def encode(self, model: str, texts: Sequence[str]) -> Floats:
        """Return the vectors of texts, a row each.

        Raises Died, LabelsRefused if the model does not read them, and WorkerError if it failed on them.
        """
        return await self._answer(lambda number: wire.Encode(number, model, tuple(texts)))

    async def _answer(self, request: Callable[[int], wire.Classify | wire.Encode]) -> Floats:
        """Send the request that is made of the next number, and return the rows that answer it."""
        self._number += 1
        if not self._waiting:
            self._begin_batch()
        answer = asyncio.get_running_loop().create_future()
        self._waiting[self._number] = answer
        self._send(request(self._number))
        if len(self._waiting) == 1:
            self._time_batch()
        reply: wire.Logits = await answer
        return np.frombuffer(reply.logits, np.float32).reshape(-1, reply.labels)

    async def run(self) -> None:
        """Receive replies until the stream ends. Unanswered calls of classify() then raise Died, a step later."""
        try:
            while True:
                header = await self._reader.readexactly(wire.HEADER)
                reply = wire.decode_reply(await self._reader.readexactly(int.from_bytes(header, "big")))
                self._silence.heard(timed=self._is_serving)
                self._receive(reply)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        except msgspec.MsgspecError:
            self._kill_because("sent nonsense and was killed")
        finally:
            self._cancel_timers()
            self._fail_waiting()

    @property
    def heard_at(self) -> float:
        """When the newest message came, by the clock of the event loop; 0 before the first one."""
        return self._silence.heard_at

    def retire(self, reason: str) -> None:
        """Have the process end once the batches that it has are answered. `reason` goes on as that of ended().

        The caller sends no further batch.
        """
        self._retirement = self._retirement or reason
        self._end_if_idle()

    @property
    def is_retiring(self) -> bool:
        """Whether it is to end, so that no further batch may be sent."""
        return bool(self._retirement)

    @property
    def has_retired(self) -> bool:
        """Whether it ended as retire() asked, and not under a batch. Known after run()."""
        return bool(self._retirement) and not self._kill_reason and not self._died_at_work

    @property
    def fits(self) -> bool:
        """Whether the models alone leave room below the bound of the memory."""
        return self._growth is None or self._growth.fits

    async def ended(self) -> str:
        """Return how the process ended, for a sentence that begins with its name. Called after run()."""
        status = await self._end()
        return self._kill_reason or self._retirement or _how_it_ended(status)

    async def stop(self) -> None:
        """Ask the process to end, and kill it after a second. A process that is still loading is killed at once."""
        self._cancel_timers()
        if self._loading:
            self._kill()
        else:
            self._send(wire.Stop())
        await self._end()
        self._writer.close()

    def _receive(self, reply: wire.Reply) -> None:
        match reply:
            case wire.Logits(number=number):
                guilty = self._judge_memory()
                answer = self._answered(number)
                if answer.done():  # it is if the caller was cancelled
                    return
                if guilty:
                    answer.set_exception(Died(guilty=True))
                else:
                    answer.set_result(reply)
            case wire.Failure(number=number, error=error, refused=refused):
                self._judge_memory()
                answer = self._answered(number)
                if not answer.done():
                    answer.set_exception(LabelsRefused(error) if refused else WorkerError(error))
            case wire.Beat():
                if self._judge_memory():
                    self._fail_first()
            case wire.Broken(error=error):
                if not self._kill_reason:
                    self._kill_because(f"gave up ({error})")
            case wire.Serving(pid=pid):
                self._pid = pid
                self._child.serves(pid)
                self._is_serving = True
                self._begin_timer = self._restarted(self._begin_timer, None)
                self._silence.heard(timed=self._is_serving)
                self._time_loading()
                self._on_reply(reply)
            case _:
                self._loading -= isinstance(reply, wire.Loaded | wire.Refused)
                self._time_loading()
                if isinstance(reply, wire.Loaded | wire.Unloaded) and self._growth is not None:
                    self._growth.loaded(self._measure())
                self._on_reply(reply)

    def _answered(self, number: int) -> asyncio.Future[wire.Logits]:
        """Take the batch out of those that wait, and begin the next one's time and memory."""
        answer = self._waiting.pop(number)
        self._time_batch()
        if self._waiting:
            self._begin_batch()
        self._end_if_idle()
        return answer

    def _end_if_idle(self) -> None:
        """Let a process that retires end, if it has no batch any more. It is killed if it does not."""
        if self._retirement and not self._waiting:
            self._send(wire.Stop())
            self._restarted(self._batch_timer, None)
            self._batch_timer = asyncio.get_running_loop().call_later(STOP_TIMEOUT_SECONDS, self._kill)

    def _begin_batch(self) -> None:
        if self._growth is not None:
            self._growth.began(self._measure())

    def _measure(self) -> int:
        return (resident(self._pid) if self._pid is not None else None) or 0

    def _judge_memory(self) -> bool:
        """Retire a process that has grown too far, and kill it under a batch that is to blame. Returns whether it is.

        Called before the batch that was answered is taken out.
        """
        if self._growth is None or self._kill_reason or self._loading:  # a model that is loaded has no bound yet
            return False
        found = self._measure()
        match self._growth.judge(found):
            case "guilty" if self._waiting:
                self._is_blamed, self.outgrew = True, True
                self._kill_because(
                    f"grew to {found / MB:.0f} MB under one batch, past worker.memory_mb, and was killed"
                )
                return True
            case "fits":
                pass
            case _ if not self._retirement:
                self.outgrew = True
                self._on_outgrown(f"grew to {found / MB:.0f} MB, past worker.memory_mb, and was replaced")
        return False

    def _send(self, request: wire.Request) -> None:
        # There is no need to drain: requests are a hundred bytes, and two batches at most are unanswered. asyncio drops
        # what is sent to a dead process, and run() fails the calls that wait.
        self._writer.write(wire.frame(request))

    def _time_batch(self) -> None:
        """Start the timer anew: the batch that comes first now has the whole time."""
        self._batch_timer = self._restarted(self._batch_timer, self._timeout_seconds if self._waiting else None)

    def _time_loading(self) -> None:
        """Start the timer for loading anew. Models are loaded beside the batches, so it is a timer of its own."""
        is_loading = self._loading and self._is_serving
        seconds = max(LOADING_TIMEOUT_SECONDS, self._timeout_seconds) if is_loading else None
        self._loading_timer = self._restarted(self._loading_timer, seconds)

    def _cancel_timers(self) -> None:
        self._batch_timer = self._restarted(self._batch_timer, None)
        self._loading_timer = self._restarted(self._loading_timer, None)
        self._begin_timer = self._restarted(self._begin_timer, None)
        self._silence.stop()

    def _restarted(self, timer: asyncio.TimerHandle | None, seconds: float | None) -> asyncio.TimerHandle | None:
        """Cancel the timer. Return one that kills the process after `seconds`, or None."""
        if timer is not None:
            timer.cancel()
        if seconds is None:
            return None
        reason = f"did not answer within {seconds:g} s and was killed"
        return asyncio.get_running_loop().call_later(seconds, self._kill_because, reason)

    def _kill_because(self, reason: str) -> None:
        self._kill_reason = reason
        self._kill()

    def _fail_first(self) -> None:
        """Blame the batch that the process is at work on, which was found guilty."""
        answer = next(iter(self._waiting.values()))
        if not answer.done():
            answer.set_exception(Died(guilty=True))

    def _fail_waiting(self) -> None:
        self._died_at_work = bool(self._waiting)
        for index, answer in enumerate(self._waiting.values()):
            if not answer.done():
                answer.set_exception(Died(guilty=index == 0 and not self._is_blamed))
        self._waiting.clear()

    def _kill(self) -> None:
        self._child.kill()

    async def _end(self) -> int:
        """Wait until the process has ended, and kill it if it does not end by itself. Returns the exit status."""
        for seconds in (STOP_TIMEOUT_SECONDS, STOP_TIMEOUT_SECONDS / 2):
            try:
                return await asyncio.wait_for(self._child.wait(), seconds)
            except TimeoutError:
                self._kill()
        return await self._child.wait()  # SIGKILL ends even a stopped process


def _how_it_ended(status: int) -> str:
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"
