"""Sound to a source of the kind `network`, over as many connections as it takes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from types import TracebackType
from typing import Literal, Self

import websockets.asyncio.client
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from earmark.errors import EarmarkError, SubscriptionError
from earmark_client.address import address
from earmark_client.following.connection import OnFailure, failure_of, jittered, options_of
from earmark_client.following.follow import MIN_DELAY
from earmark_client.outbox import Outbox

Format = Literal["s16le", "f32le"]

SAMPLE_BYTES: dict[Format, int] = {"s16le": 2, "f32le": 4}
MAX_DELAY = 2.0  # seconds between two tries; the sound that waits is held for `buffer` seconds only
BUFFER_SECONDS = 10.0
MESSAGE_SECONDS = 0.1  # of sound in one message at most
CONFIRM_SECONDS = 0.5  # of sound after which the daemon is asked whether it has it
PING_SECONDS = 5.0
CLOSE_SECONDS = 5.0  # for the daemon to confirm the last of it
MAX_LOST_SECONDS = 86_400.0  # the most that a daemon can be told of

OnLost = Callable[[float], None]
"""Called with the seconds of sound that the daemon did not get, when it can be told of them, or at the end."""


class Sender:
    """Sends sound for the source `source` of the daemon at `url`.

        async with Sender("phone", "127.0.0.1:8765", rate=16000) as sender:
            await sender.send(pcm)

    Samples are PCM in `format`, with `channels` interleaved. A lost connection is made again, for ever and with pauses
    of up to two seconds: `on_failure` is called with the reason. Meanwhile send() waits, and the newest `buffer`
    seconds of offer() are kept and sent as soon as there is a connection. What is lost is in `lost`, in seconds, and
    `on_lost` is called with it. The daemon is told too, and joins nothing across it.

    Leaving the block sends what waits, for `timeout` seconds at most. A refusal, such as a wrong token or a source that
    does not exist, is final: send() and leaving raise it. `token`, or else the environment variable EARMARK_TOKEN, is
    for daemons that require one; `ca`, or else EARMARK_CA, is the file of the authority to trust with TLS.
    """

    def __init__(
        self,
        source: str,
        url: str | None = None,
        *,
        rate: int = 16000,
        channels: int = 1,
        format: Format = "s16le",
        token: str | None = None,
        ca: str | None = None,
        buffer: float = BUFFER_SECONDS,
        timeout: float = 30.0,
        on_failure: OnFailure | None = None,
        on_lost: OnLost | None = None,
        on_connected: Callable[[], None] | None = None,
    ) -> None:
        if format not in SAMPLE_BYTES:
            raise SubscriptionError(f"format: {format!r} is not known; known are {', '.join(SAMPLE_BYTES)}")
        self._frame_bytes = SAMPLE_BYTES[format] * channels
        self._daemon = address(url, ca)
        self._rate = rate
        self._parameters: dict[str, str | int | float] = {
            "source": source,
            "rate": rate,
            "channels": channels,
            "format": format,
        }
        self._options = options_of(self._daemon, token) | {"ping_interval": PING_SECONDS}
        self._timeout = timeout
        self._on_failure = on_failure
        self._on_lost = on_lost
        self._on_connected = on_connected
        self._second = rate * self._frame_bytes  # bytes
        self._outbox = Outbox(self._frame_bytes, int(buffer * self._second))
        self._was_connected = self._finishing = False
        self._untold = 0  # bytes lost that on_lost was not called with
        self._error: EarmarkError | None = None
        self._filled = asyncio.Event()  # there may be something to send
        self._room = asyncio.Event()  # there may be room for more
        self._task: asyncio.Task[None] | None = None

    @property
    def lost(self) -> float:
        """The seconds of sound that the daemon did not get, or may not have got."""
        return self._outbox.lost / self._second

    async def send(self, data: bytes) -> None:
        """Send PCM of a recording, which can wait: for the daemon to take more, and for a connection.

        `data` may end in the middle of a sample. Raises ServerError or SubscriptionError after a refusal.
        """
        while not self._outbox.has_room(len(data)) and not self._has_ended:
            self._room.clear()
            await self._room.wait()
        self.offer(data)

    def offer(self, data: bytes) -> None:
        """Send PCM of a microphone, which cannot wait: the oldest sound is dropped where it is too much.

        Dropped sound becomes a gap in the daemon's stream. Raises as send() does.
        """
        if self._has_ended:
            self._raise()
        self._outbox.add(data)
        self._filled.set()

    def skip(self, seconds: float) -> None:
        """Note that so many seconds of sound are missing here, for example because the microphone was unplugged."""
        self._outbox.skip(round(seconds * self._rate))
        self._filled.set()

    async def until_refused(self) -> None:
        """Wait until the daemon refuses, and raise that: for programs that wait for sound themselves."""
        assert self._task is not None
        await asyncio.wait([self._task])
        self._raise()

    @property
    def _has_ended(self) -> bool:
        return self._task is not None and self._task.done()

    def _raise(self) -> None:
        """Raise the refusal, or the error, with which the task has ended."""
        if self._task is not None and not self._task.cancelled():
            self._task.result()
        if self._error is not None:
            raise self._error

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="sender")
        self._task.add_done_callback(lambda task: self._room.set())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._task is not None
        try:
            if kind is None:
                self._finishing = True
                self._filled.set()
                await asyncio.wait([self._task], timeout=self._timeout)
        finally:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._outbox.skip(self._outbox.waiting // self._frame_bytes)  # nothing, unless it took too long
            self._tell_loss(self._outbox.tell())
        if kind is None:
            self._raise()

    async def _run(self) -> None:
        """Connect and send, until everything was sent or the daemon refuses. Ends at the latest by being cancelled."""
        delay = MIN_DELAY
        while True:
            try:
                async with websockets.asyncio.client.connect(self._url(), **self._options) as connection:
                    delay = MIN_DELAY
                    self._connected()
                    if await self._pump(connection):
                        return
                    continue  # there is a loss to tell
            except (OSError, InvalidHandshake, ConnectionClosed) as error:
                failure, final = failure_of(error, self._daemon), self._is_final(error)
            finally:
                self._outbox.disconnect()
            if final:
                self._error = failure.error
                return
            if self._on_failure is not None:
                self._on_failure(failure.error)
            await asyncio.sleep(max(jittered(delay), min(failure.retry_after, MAX_DELAY)))
            delay = min(delay * 2, MAX_DELAY)

    def _url(self) -> str:
        lost = min(self._outbox.owed / self._second, MAX_LOST_SECONDS)
        if self._was_connected or lost:
            self._parameters["lost"] = f"{lost:.3f}"
        return self._daemon.audio(self._parameters)

    def _connected(self) -> None:
        self._was_connected = True
        # what was dropped while it connected belongs to the same gap, whose length was told a moment before
        self._tell_loss(self._outbox.tell())
        if self._on_connected is not None:
            self._on_connected()

    async def _pump(self, connection: ClientConnection) -> bool:
        """Send what there is until all was sent, and then return True; or False if something was lost meanwhile."""
        message, interval = int(MESSAGE_SECONDS * self._second), int(CONFIRM_SECONDS * self._second)
        asked: asyncio.Future[float] | None = None  # a question whether the daemon has what was sent before it
        while not self._outbox.owed:
            chunk = self._outbox.take(max(message, self._frame_bytes))
            if chunk is not None:
                await connection.send(chunk)
                self._room.set()
                if self._outbox.unconfirmed >= interval and (asked is None or asked.done()):
                    asked = asyncio.ensure_future(await connection.ping())
                    asked.add_done_callback(partial(self._confirmed, self._outbox.unconfirmed))
            elif self._finishing:
                break
            else:
                self._filled.clear()
                await self._filled.wait()
        async with asyncio.timeout(CLOSE_SECONDS if self._outbox.owed else None):
            await (await connection.ping())
        self._outbox.unconfirmed = 0
        if self._outbox.owed:
            return False
        connection.close_timeout = self._timeout  # the daemon closes when it has heard all but the last of it
        return True

    def _confirmed(self, count: int, pong: asyncio.Future[float]) -> None:
        if not pong.cancelled() and pong.exception() is None:
            self._outbox.confirm(count)

    def _is_final(self, error: Exception) -> bool:
        """Return whether the daemon would refuse again. Another sender may be our own last connection."""
        if isinstance(error, InvalidStatus) and error.response.status_code == HTTPStatus.CONFLICT:
            return not self._was_connected
        return failure_of(error, self._daemon).final

    def _tell_loss(self, count: int) -> None:
        if count and self._on_lost is not None:
            self._on_lost(count / self._second)
