"""One clip posted by a client, from its bytes to the answer. All on the event loop but the decoding."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Self

import msgspec

from earmark.api import request as clip
from earmark.api.cache import Cache, Key, PoisonClips
from earmark.api.clip_scorer import ClipScorer
from earmark.api.decode import MB, Clip, Decoders, Limits
from earmark.api.memory import Budget, Reservation
from earmark.api.models import Registry
from earmark.api.request import Options, Parameters, parse_switch
from earmark.audio.recording import NeedsFFmpeg
from earmark.checkpoints.catalogue import Entry
from earmark.checkpoints.checkpoint import Checkpoint
from earmark.config import settings as config
from earmark.errors import AudioError, ModelError, RequestError, TooMuchAudio, WorkerDied, WorkerError
from earmark.inference.scores import default_function

log = logging.getLogger(__name__)

HOLD = 0.5  # seconds before a 503: the JavaScript client asks again at once, for ever
MEMORY = "http.memory_mb"
INLINE = 64 * 1024  # bytes of a body that is looked at on the event loop
ENOUGH = 2  # deaths under the same clip after which it is not tried any more
RETRY_AFTER = 5  # seconds, about what a new model process takes
WITHOUT_FFMPEG = "WebM, M4A and AAC need the extra `av` where the daemon runs: pip install 'earmark[av]'"


class Loading(RequestError):
    """The model is not loaded yet, and will be in `estimate` seconds."""

    def __init__(self, model: str, estimate: float) -> None:
        super().__init__(503, f"Model {model} is currently loading")
        self.estimate = estimate


@dataclass(frozen=True, slots=True)
class ClipAnswer:
    """JSON, and what the headers tell: seconds of the clip and of the work, None where that was done before."""

    body: bytes
    audio: float
    work: float | None


class ClipStats(msgspec.Struct, frozen=True):
    """Requests since the start. `waiting` ones are being read, decoded or classified now."""

    waiting: int
    answered: int
    refused: int
    cached: int


class Clips:
    """Answers requests for classification. Entered, it has threads that decode; left, everybody who waits is told."""

    def __init__(self, settings: config.Http, registry: Registry, asking: ClipScorer) -> None:
        self._settings = settings
        self._registry = registry
        self._asking = asking
        # half for bodies, which come when they want, and half for clips, which can wait their turn
        self._bodies, self._decoded_clips = (Budget(settings.memory_mb * MB // 2) for _ in range(2))
        limits = Limits(settings.max_seconds, settings.max_decoded_mb * MB)
        self._decoders = Decoders(settings.decoders, limits, settings.wait)
        self._cache = Cache(settings.cache_mb * MB)
        self._suspects = PoisonClips()
        self.most_body = settings.max_body_mb * MB
        self._waiting = 0  # requests, as are the counters below
        self._answered = 0
        self._refused = 0
        self._cached = 0

    def __enter__(self) -> Self:
        self._decoders.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._asking.close()
        self._decoders.__exit__(kind, error, trace)

    def stats(self) -> ClipStats:
        """Return the counters as they are now."""
        return ClipStats(self._waiting, self._answered, self._refused, self._cached)

    def count_answered(self) -> None:
        """Count a request that was answered."""
        self._answered += 1

    def count_refused(self) -> None:
        """Count a request that was answered with an error."""
        self._refused += 1

    def admit(self) -> Reservation:
        """A place in the queue, to be left by leave(), and a share of the memory for bodies.

        Raises RequestError 429 where there is none.
        """
        if self._waiting >= self._settings.queue:
            raise RequestError(429, f"{self._settings.queue} requests are waiting already", retry_after=1)
        self._waiting += 1
        return Reservation(self._bodies, MEMORY)

    def leave(self) -> None:
        """Give back the place."""
        self._waiting -= 1

    async def classify(
        self, entry: Entry, body: bytes, query: Mapping[str, str], headers: Mapping[str, str], share: Reservation
    ) -> ClipAnswer:
        """The answer to a request. `share` counts the body. Raises RequestError; cancelled, leaves nothing."""
        began = time.monotonic()
        small = len(body) <= INLINE
        asked = (
            clip.parse_request(body, query)
            if small
            else await self._decoders.run(partial(clip.parse_request, body, query))
        )
        audio, parameters, options = asked.audio, asked.parameters, asked.options
        del asked, body  # it may be 64 MB, and the queue long
        checkpoint = await self._loaded(entry, options, headers)
        with Reservation(self._decoded_clips, MEMORY) as room:
            found = await self._decoded(audio, checkpoint, room)
            del audio
            share.release()
            return await self._answer(entry, checkpoint, found, parameters, options, headers, began)

    async def _answer(
        self,
        entry: Entry,
        checkpoint: Checkpoint,
        found: Clip,
        parameters: Parameters,
        options: Options,
        headers: Mapping[str, str],
        began: float,
    ) -> ClipAnswer:
        """From the cache, or computed."""
        usual = default_function(checkpoint.problem_type)
        key = Key.of(entry.id, checkpoint.revision, found.digest, parameters, usual, len(checkpoint.labels))
        use_cache = options.use_cache and parse_switch(headers.get("x-use-cache"), True)
        kept = self._cache.get(key) if use_cache else None
        if kept is not None:
            self._cached += 1
            return ClipAnswer(kept, found.seconds, None)
        answer = await self._scored(checkpoint, found, key)
        self._cache.put(key, answer)
        return ClipAnswer(answer, found.seconds, time.monotonic() - began)

    async def _loaded(self, entry: Entry, options: Options, headers: Mapping[str, str]) -> Checkpoint:
        """The model, when it is loaded. Raises Loading, and RequestError 500 where it is refused."""
        wait = options.wait_for_model or parse_switch(headers.get("x-wait-for-model"), False)
        try:
            checkpoint = self._registry.checkpoint(entry)
            if parse_switch(headers.get("x-load-model"), True):
                self._registry.want(entry)
            standing = await self._registry.settled(entry, self._settings.wait if wait else HOLD)
        except ModelError as error:
            raise RequestError(500, str(error)) from None
        if standing.state == "refused":
            raise RequestError(500, standing.why)
        if standing.state != "loaded":
            raise Loading(entry.id, self._registry.estimate(entry))
        return checkpoint

    async def _decoded(self, content: bytes, checkpoint: Checkpoint, share: Reservation) -> Clip:
        """The clip at the model's rate. Raises RequestError 400 or 413."""
        try:
            found = await self._decoders.decode(content, checkpoint.rate, share)
        except TooMuchAudio as error:
            raise RequestError(413, str(error)) from None
        except NeedsFFmpeg:
            raise RequestError(400, f"{clip.MALFORMED}: {WITHOUT_FFMPEG}") from None
        except AudioError as error:
            log.debug("a clip was refused: %s", error)
            raise RequestError(400, clip.MALFORMED) from None
        if len(found.samples) < checkpoint.minimum:
            raise RequestError(
                400, f"audio too short: {len(found.samples)} samples, need at least {checkpoint.minimum}"
            )
        return found

    async def _scored(self, checkpoint: Checkpoint, found: Clip, key: Key) -> bytes:
        """The answer's JSON. Raises RequestError 503, 422 or 500."""
        deaths = self._suspects.deaths(key)
        if deaths >= ENOUGH:
            raise _deadly()
        try:
            scores = await self._asking.scores(
                checkpoint.name,
                found.samples,
                window=checkpoint.window or checkpoint.limit or round(self._settings.window * checkpoint.rate),
                least=checkpoint.window or 0,  # as Whisper's extractor does; so that clips can share a batch
                function=key.function,
                alone=deaths > 0,
            )
        except WorkerDied:
            if self._suspects.died(key) >= ENOUGH:
                raise _deadly() from None
            await asyncio.sleep(HOLD)
            text = "the model process died or hung on this clip; it is tried once more when it comes again"
            raise RequestError(503, text, retry_after=RETRY_AFTER) from None
        except WorkerError as error:
            log.error("a clip was not classified: %s", error)
            raise RequestError(500, f"{checkpoint.name} failed on this clip; the log has the reason") from None
        if deaths:
            self._suspects.cleared(key)
        return clip.answer(checkpoint.labels, scores, key.top_k)


def _deadly() -> RequestError:
    return RequestError(422, f"the model process died {ENOUGH} times on this clip; it is not tried again")
