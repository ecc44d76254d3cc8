"""One server of the Open Inference Protocol: a gRPC channel, and what is known of the server behind it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from earmark.audio.types import Floats, Samples
from earmark.checkpoints.checkpoint import Checkpoint
from earmark.config.settings import Remote
from earmark.errors import EarmarkError, LabelsRefused, ModelError, Unavailable, WorkerError
from earmark.inference.engine import EndpointStats
from earmark.plain_file import read_bytes
from earmark.remote import open_inference
from earmark.remote.application import application
from earmark.remote.messages import compare, described, infer_request, logits_of, texts_request

logger = logging.getLogger(__name__)

LOOK_SECONDS = 5.0  # from one question whether a model is ready to the next
READY_SECONDS = 5.0  # within which that must be answered
FIRST_DELAY_SECONDS, MAX_DELAY_SECONDS = 0.5, 30.0  # before an endpoint that does not answer is tried again
MAX_FILE_BYTES = 1_000_000  # of a token or a certificate
PING_SECONDS = 1.0  # of nothing from a server that has a call of ours, until it is pinged
SILENT_SECONDS = 3.0  # for an answer to that, else it counts as away
UNLIMITED = -1  # bytes of a message; gRPC takes 4 MB by default, and a batch may have more
OPTIONS: list[tuple[str, Any]] = [
    ("grpc.max_send_message_length", UNLIMITED),
    ("grpc.max_receive_message_length", UNLIMITED),
    ("grpc.initial_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", round(MAX_DELAY_SECONDS * 1000)),
]
PING_TIMED_OUT = re.compile("(ping|keepalive).*time", re.IGNORECASE)  # what grpc says of it, in its versions
TOKEN = re.compile(r"[!-~]+")  # what a header can carry

# The model is at fault, or the batch: another endpoint would answer the same
FINAL = {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.OUT_OF_RANGE, grpc.StatusCode.UNIMPLEMENTED}
# What servers answer to a name that they do not know: Triton the first, MLServer the second
NO_SUCH_MODEL = {grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNKNOWN}


class Late(Unavailable):
    """The endpoint did not answer in time, and would hardly do so if it were asked again."""


class Endpoint:
    """Asks one server, and looks every few seconds whether it answers. On the event loop.

    run() does the looking, until it is cancelled. `models` returns the checkpoints that shall be served. `on_change` is
    called when a model begins or ceases to be served here, is refused, or the server begins or ceases to answer.
    """

    def __init__(
        self,
        address: str,
        settings: Remote,
        timeout: float,
        models: Callable[[], Mapping[str, Checkpoint]],
        on_change: Callable[[], None],
    ) -> None:
        self.address = address
        self.served: set[str] = set()
        self.refused: dict[str, str] = {}  # model to reason
        self.detail = "not asked yet"
        self.in_flight = 0
        self._settings = settings
        self._timeout = timeout
        self._models = models
        self._on_change = on_change
        self._answered = self._failed = self._late = 0
        self._again = asyncio.Event()  # there is a new model to look for
        self._room = asyncio.Semaphore(settings.in_flight)
        self._channel: Any = None

    @property
    def is_ready(self) -> bool:
        """Whether the server answered when it was last asked."""
        return not self.detail

    def stats(self) -> EndpointStats:
        """Return the counts as they are now."""
        told = self.detail or "; ".join(self.refused.values())
        return EndpointStats(
            self.address, self.is_ready, told, self.in_flight, self._answered, self._failed, self._late
        )

    def look_again(self) -> None:
        """Look at the models now."""
        self._again.set()

    def forget(self, model: str) -> None:
        """Look anew at this model when it is asked for again."""
        self.served.discard(model)
        self.refused.pop(model, None)

    async def run(self) -> None:
        """Look after the server until cancelled."""
        delay = FIRST_DELAY_SECONDS
        try:
            while True:
                self._again.clear()
                try:
                    await self._look()
                except Exception as error:
                    if not isinstance(error, EarmarkError):
                        logger.exception("Asking %s met an error", self.address)
                    self._away(str(error))
                    await self._close()  # the next channel reads the certificates again
                    pause = delay * random.uniform(0.8, 1.2)  # many daemons may have lost the same server
                    delay = min(2 * delay, MAX_DELAY_SECONDS)
                else:
                    pause, delay = LOOK_SECONDS, FIRST_DELAY_SECONDS
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._again.wait()
        finally:
            await self._close()

    async def classify(self, model: str, batch: Sequence[Samples]) -> Floats:
        """Return the logits of a batch. Raises WorkerError if the model fails on it, else Unavailable."""
        return await self._infer(model, infer_request(self._remote_name(model), batch), len(batch))

    async def encode(self, model: str, texts: Sequence[str]) -> Floats:
        """Return the vectors of texts. Raises LabelsRefused if the model does not read them, else Unavailable."""
        try:
            return await self._infer(model, texts_request(self._remote_name(model), texts), len(texts))
        except Unavailable:
            raise
        except WorkerError as error:
            raise LabelsRefused(str(error)) from None

    async def _infer(self, model: str, request: Any, rows: int) -> Floats:
        """Return the rows that answer a request. Raises WorkerError if the model fails on it, else Unavailable."""
        self.in_flight += 1
        try:
            async with self._room:
                if not self.is_ready:  # it went away while the batch waited for room
                    raise Unavailable(self.detail)
                response = await self._call("ModelInfer", model, request, self._timeout)
            logits = logits_of(response, rows)
        except Unavailable as error:
            self._failed += 1
            if self.is_ready:
                self._away(str(error))
                self._again.set()
            raise
        except WorkerError:
            self._failed += 1
            raise
        finally:
            self.in_flight -= 1
        self._answered += 1
        return logits

    def _remote_name(self, model: str) -> str:
        return self._settings.names.get(model, model)

    async def _look(self) -> None:
        """Ask for every model, and check those that are new here. Raises Unavailable if the server does not answer."""
        before = (self.is_ready, set(self.served), dict(self.refused))
        for name, checkpoint in list(self._models().items()):
            request = open_inference.ModelReadyRequest(name=self._remote_name(name))
            try:
                is_ready = (await self._call("ModelReady", name, request, READY_SECONDS)).ready
            except Unavailable:
                raise
            except WorkerError as error:  # Triton answers so to a name that it does not know
                is_ready, reason = False, str(error)
            else:
                reason = f"{self.address} does not have {self._remote_name(name)}" if not is_ready else ""
            if not is_ready:
                self.served.discard(name)
                self.refused[name] = reason
            elif name not in self.served:
                await self._check(checkpoint)
        self.detail = ""
        if before != (self.is_ready, self.served, self.refused):
            self._on_change()

    async def _check(self, checkpoint: Checkpoint) -> None:
        """Let the model classify silence, and compare what it answers with the checkpoint."""
        name, silence = checkpoint.name, [[0.0] * checkpoint.usual_length]
        try:
            request = infer_request(self._remote_name(name), silence)  # type: ignore[arg-type]
            response = await self._call("ModelInfer", name, request, self._timeout)
            compare(checkpoint, described(response), logits_of(response, 1).shape[1])
        except ModelError as error:
            self.refused[name] = f"{name} at {self.address} is another model: {error}"
            self.served.discard(name)
        except Unavailable:
            raise
        except WorkerError as error:
            self.refused[name] = f"{name} at {self.address} does not classify: {error}"
            self.served.discard(name)
        else:
            self.refused.pop(name, None)
            self.served.add(name)

    def _away(self, reason: str) -> None:
        was = (self.detail, bool(self.served))
        self.detail = reason
        self.served.clear()
        if was != (reason, False):
            self._on_change()

    async def _call(self, method: str, model: str, request: Any, seconds: float) -> Any:
        """Call a method. Raises Unavailable, or WorkerError if another server would hardly answer otherwise."""
        try:
            call = self._connect().unary_unary(
                f"/{open_inference.SERVICE}/{method}",
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=open_inference.response(method).FromString,
            )
            return await call(request, timeout=seconds, metadata=self._metadata(model))
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # grpc says so of calls whose channel was closed, as run() does when the server is found to be away
            raise Unavailable(self.detail or f"{self.address} went away under the call") from None
        except grpc.aio.AioRpcError as error:
            code, told = error.code(), (error.details() or "").partition("\n")[0][:300]
            sentence = f"{self.address}: {_plain(code)}{f' ({told})' if told else ''}"
            if code is grpc.StatusCode.UNAVAILABLE and PING_TIMED_OUT.search(told):
                raise Unavailable(f"{self.address} has given no sign of life for {SILENT_SECONDS:g} s") from None
            if code is grpc.StatusCode.DEADLINE_EXCEEDED:
                self._late += 1
                raise Late(f"{self.address} did not answer within {seconds:g} s") from None
            if code in FINAL or (code in NO_SUCH_MODEL and method == "ModelReady"):
                raise WorkerError(sentence) from None
            raise Unavailable(sentence) from None

    def _connect(self) -> Any:
        """Return the channel, which reads certificates when it is made: after it was closed, they are read again."""
        if self._channel is None:
            options = OPTIONS + _pings()
            if self._settings.tls_name:
                options.append(("grpc.ssl_target_name_override", self._settings.tls_name))
            if self._settings.tls:
                roots = _read(self._settings.ca_file, "worker.remote.ca_file") if self._settings.ca_file else None
                credentials = grpc.ssl_channel_credentials(roots)
                self._channel = grpc.aio.secure_channel(self.address, credentials, options)
            else:
                self._channel = grpc.aio.insecure_channel(self.address, options)
        return self._channel

    def _metadata(self, model: str) -> list[tuple[str, str]]:
        """Return the metadata of a call; the file of the token is read for each, so that a new one counts at once."""
        name = self._settings.application.replace("{model}", application(model))
        told = [("application", name)] if name else []
        if self._settings.token_file:
            token = _read(self._settings.token_file, "worker.remote.token_file").decode("ascii", "replace").strip()
            if not TOKEN.fullmatch(token):
                raise Unavailable(f"{self.address}: worker.remote.token_file holds no token in one line")
            told.append(("authorization", f"Bearer {token}"))
        return told

    async def _close(self) -> None:
        if self._channel is not None:
            channel, self._channel = self._channel, None
            await channel.close()


def _pings() -> list[tuple[str, Any]]:
    """Return the options by which a server that is frozen, or whose network is silent, is soon known to be away.

    gRPC answers pings on a thread of its own, so a server that only takes long is not taken for that. It hangs up at
    the fourth ping within five minutes in which it sent nothing but answers to pings. By default no more than two go
    out between two messages of ours, which it answers, and none without a call. (grpc/grpc, doc/keepalive.md)
    """
    silent = round(SILENT_SECONDS * 1000)
    return [
        ("grpc.keepalive_time_ms", round(PING_SECONDS * 1000)),
        ("grpc.keepalive_timeout_ms", silent),
        ("grpc.http2.ping_timeout_ms", silent),  # it counts where another ping is on its way
    ]


def _read(file: str, setting: str) -> bytes:
    try:
        return read_bytes(Path(file), MAX_FILE_BYTES)[0]
    except (OSError, ValueError) as error:
        raise Unavailable(f"{setting}: {file} cannot be read ({error})") from None


def _plain(code: Any) -> str:
    """Return what a status of gRPC means."""
    return {
        grpc.StatusCode.UNAVAILABLE: "it cannot be reached",
        grpc.StatusCode.UNAUTHENTICATED: "it wants another token",
        grpc.StatusCode.PERMISSION_DENIED: "the token does not allow this",
        grpc.StatusCode.RESOURCE_EXHAUSTED: "it has too much to do, or takes no message of this size",
        grpc.StatusCode.NOT_FOUND: "it does not have the model",
    }.get(code, f"it answered {code.name}")
