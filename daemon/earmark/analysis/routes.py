"""The HTTP route of analysis: a recording comes, and the events come back while it is heard."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from types import TracebackType
from typing import Self

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from earmark import __version__
from earmark.analysis.lines import Lines
from earmark.analysis.offline import Offline, offline_plan, on_thread
from earmark.analysis.question import Question, parse_question
from earmark.api.clips import TAKEN, Clips
from earmark.api.request import MALFORMED
from earmark.api.routes import CLIENT_CLOSED_REQUEST, refusing
from earmark.audio.types import Samples
from earmark.bodies.body import read_body, while_connected
from earmark.bodies.decode import MB, Limits, check_length
from earmark.broadcast.publisher import rfc3339
from earmark.config import settings as config
from earmark.errors import AudioError, EarmarkError, RequestError, TooMuchAudio, WorkerError
from earmark.inference.dispatch import Dispatcher
from earmark.inference.engine import Engine
from earmark.listening.plan import Plan
from earmark.protocol.endpoints import ANALYZE
from earmark.recordings.recording import CLIP_NAME, open_clip

MEDIA_TYPE = "application/x-ndjson"
MOST_WAITING = 2  # requests whose recordings have come, while another one is heard
BUSY_SECONDS = 10  # after which a client may ask again
LOADING_SECONDS = 5


class Analyses:
    """The route. One recording is heard at a time. Left, it has ended the one that is heard, and refuses others.

    `clips` holds the bodies, with the limits of clips, and counts the requests among its own. `plans` returns the
    classifiers in force.
    """

    def __init__(
        self,
        clips: Clips,
        plans: Callable[[], Mapping[str, Plan]],
        engine: Engine,
        dispatcher: Dispatcher,
        settings: config.Http,
    ) -> None:
        self._clips = clips
        self._plans = plans
        self._engine = engine
        self._dispatcher = dispatcher
        self._settings = settings
        self._limits = Limits(settings.max_seconds, settings.max_decoded_mb * MB)
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._running: Offline | None = None
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        if self._running is not None:
            self._running.stop("the daemon is shutting down")

    def routes(self) -> list[BaseRoute]:
        """Return the route."""
        return [Route(ANALYZE, refusing(self._analyze), methods=["POST"])]

    async def _analyze(self, request: Request) -> Response:
        question = parse_question(request.query_params.multi_items(), self._plans())
        async with contextlib.AsyncExitStack() as stack:
            self._check()
            memory = stack.enter_context(self._clips.admit(request.client.host if request.client else ""))
            try:
                body = await read_body(request, self._clips.max_body_bytes, memory)
                content = (await self._clips.parse(body, {}, memory)).audio
                del body
                with self._counted():
                    await while_connected(request, self._turn.acquire())
                stack.callback(self._turn.release)
                lines = self._lines(question, bytes(content))
                await stack.enter_async_context(contextlib.aclosing(lines))
                first = await while_connected(request, anext(lines))
            except ClientDisconnect:
                return Response(status_code=CLIENT_CLOSED_REQUEST)
            except TooMuchAudio as error:
                raise RequestError(413, str(error)) from None
            except AudioError as error:
                raise RequestError(400, MALFORMED, reason=f"{error}. {TAKEN}.") from None
            except WorkerError as error:
                raise RequestError(503, str(error), retry_after=LOADING_SECONDS) from None
            return LineResponse(first, lines, stack.pop_all())

    async def _lines(self, question: Question, content: bytes) -> AsyncGenerator[bytes]:
        """Yield the lines of the answer as they come. What is wrong is raised before the first ones, and then said."""
        known = self._plans()
        names = [name for name in question.classifiers if name in known]
        plans = [offline_plan(known[name], all_scores=question.all_scores) for name in names]
        if len(plans) < len(question.classifiers):
            raise RequestError(400, "classifiers: one of them was removed from the configuration meanwhile")
        self._check_loaded(plans)
        epoch = secrets.token_hex(4)
        lines = Lines(epoch, question.source, lambda: rfc3339(datetime.now(UTC)))
        said = lines.hello(__version__, [plan.info for plan in plans])
        sound = await on_thread(partial(Clip, content, self._limits))
        ids = (f"{epoch}-{number}" for number in itertools.count(1))
        offline = Offline(question.source, plans, self._dispatcher, partial(next, ids), timeout=self._settings.wait)
        self._running = offline
        try:
            begun = False
            async with contextlib.aclosing(offline.drafts(sound)) as heard:
                async for drafts in heard:
                    said += lines.events(drafts) + lines.progress(offline.heard, sound.seconds)
                    if said:
                        yield said
                        begun, said = True, b""
                yield lines.end(offline.heard)
        except EarmarkError as error:
            if not begun:
                raise
            yield lines.error(str(error))
        finally:
            self._running = None
            sound.close()

    def _check(self) -> None:
        """Raise RequestError if a recording cannot be heard now."""
        if self._closed:
            raise RequestError(503, "the daemon is shutting down", retry_after=LOADING_SECONDS)
        if self._waiting >= MOST_WAITING:
            text = f"{MOST_WAITING} recordings wait already for the one that is heard now"
            raise RequestError(429, text, retry_after=BUSY_SECONDS)

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        """Hold a place among those that wait for their turn."""
        self._check()
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    def _check_loaded(self, plans: Sequence[Plan]) -> None:
        loaded = self._engine.state.loaded
        for plan in plans:
            for checkpoint in plan.checkpoints:
                if checkpoint.name not in loaded:
                    sentence = f"Model {checkpoint.name} is currently loading"
                    raise RequestError(503, sentence, retry_after=LOADING_SECONDS)


class Clip:
    """The sound of a recording that a client sent, within the limits of clips."""

    def __init__(self, content: bytes, limits: Limits) -> None:
        self._limits = limits
        self._recording = open_clip(content)
        self.rate = self._recording.rate
        self.seconds = self._recording.likely_seconds
        self._frames = 0
        if self.seconds > limits.max_seconds:
            self.close()
            check_length(round(self.seconds * self.rate), self._recording, limits)

    def read(self, count: int) -> Samples:
        """Return the next samples. Raises AudioError, and TooMuchAudio beyond a limit."""
        try:
            samples = self._recording.read(count)
        except EarmarkError:
            raise
        except Exception as error:  # the decoders do not document what they raise for nonsense
            raise AudioError(f"{CLIP_NAME}: a decoder failed on it") from error
        self._frames += len(samples)
        check_length(self._frames, self._recording, self._limits)
        if not self._frames:
            raise AudioError(f"{CLIP_NAME}: holds no sound")
        return samples

    def close(self) -> None:
        """Close the recording."""
        self._recording.close()


class LineResponse(Response):
    """Sends lines as they come, until the last one or until the client leaves. Then it lets go of what is `held`."""

    media_type = MEDIA_TYPE

    def __init__(self, first: bytes, rest: AsyncIterator[bytes], held: contextlib.AsyncExitStack) -> None:
        super().__init__()
        del self.headers["content-length"]
        self._first = first
        self._rest = rest
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._held:
            with contextlib.suppress(ClientDisconnect):
                await while_connected(Request(scope, receive), self._send(send))

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self._first, "more_body": True})
        async for lines in self._rest:
            await send({"type": "http.response.body", "body": lines, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
