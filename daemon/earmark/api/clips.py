"""One clip posted by a client, from its bytes to the answer. All on the event loop but the decoding."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Self

import msgspec

from earmark.access.places import owner_of
from earmark.answers.cache import Cache, Key
from earmark.answers.sent import sent_key
from earmark.api.clip_scorer import ClipScorer
from earmark.api.given_labels import LABELS, given_labels
from earmark.api.loading import BUSY_DELAY_SECONDS, loaded
from earmark.api.request import MALFORMED, Options, ParsedRequest, encode_scores, parse_request, parse_switch
from earmark.bodies.decode import MB, Clip, Decoders, Limits
from earmark.bodies.memory import Budget, Part, Reservation
from earmark.checkpoints.catalogue import Entry
from earmark.checkpoints.checkpoint import Checkpoint
from earmark.config import settings as config
from earmark.errors import AudioError, LabelsRefused, RequestError, TooMuchAudio, Unavailable, WorkerDied, WorkerError
from earmark.inference.registry import Registry
from earmark.poison.clips import MAX_DEATHS
from earmark.poison.clips import Clip as PoisonClip
from earmark.poison.remembered import FILE, RememberedClips
from earmark.zeroshot.head import Head
from earmark.zeroshot.label_set import LabelSet
from earmark.zeroshot.text_vectors import TextVectors

log = logging.getLogger(__name__)

MEMORY = "http.memory_mb"
MAX_INLINE_BYTES = 64 * 1024  # of a body that is parsed on the event loop
MAX_HASHED_BYTES = 256 * 1024  # of one that is hashed there, in a third of a millisecond
RETRY_AFTER_SECONDS = 5  # a new model process takes about as long
TAKEN = "WAV, FLAC, Ogg, Opus, MP3, AIFF, AU, CAF and W64 are taken, and with the extra `av` whatever FFmpeg reads"


@dataclass(frozen=True, slots=True)
class ClipAnswer:
    """The JSON of an answer, the seconds of the clip, and those of the work; None if it was done before."""

    body: bytes
    audio: float
    work: float | None
    warning: str  # what was wrong with the clip; empty: nothing


class ClipStats(msgspec.Struct, frozen=True):
    """What `/info` shows. `waiting` requests have come whole, and are being decoded or classified.

    `deadly` is the number of clips that are refused because the model process died on them. Of the `cached` answers,
    `recognised` were found by the bytes of the request, before it was decoded. `kept` answers are in the cache, which
    can be found by `ways` requests and take `kept_bytes`.
    """

    waiting: int
    answered: int
    refused: int
    cached: int
    deadly: int = 0
    recognised: int = 0
    kept: int = 0
    ways: int = 0
    kept_bytes: int = 0


class Clips:
    """Answers requests for classification. Left, it has refused all that wait and ended the threads that decode."""

    def __init__(
        self,
        settings: config.Http,
        registry: Registry,
        scorer: ClipScorer,
        vectors: TextVectors,
        poison: RememberedClips | None = None,
    ) -> None:
        self._settings = settings
        self._registry = registry
        self._scorer = scorer
        self._vectors = vectors
        # half for bodies, which come when they want, and half for clips, which can wait their turn
        self.bodies, self.decoded = (Budget(settings.memory_mb * MB // 2) for _ in range(2))
        self._parts: dict[str, Part] = {}  # of `bodies`, by address
        limits = Limits(settings.max_seconds, settings.max_decoded_mb * MB)
        self._decoders = Decoders(settings.decoders, limits, settings.wait)
        self._cache = Cache(settings.cache_mb * MB)
        self._poison = RememberedClips() if poison is None else poison  # it has a length, which may be 0
        self._waiting = self._answered = self._refused = 0
        self.max_body_bytes = settings.max_body_mb * MB

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._scorer.close()
        self._decoders.close()

    def stats(self) -> ClipStats:
        """Return the counters."""
        cache = self._cache
        return ClipStats(
            self._waiting,
            self._answered,
            self._refused,
            cache.hits + cache.recognised,
            len(self._poison),
            cache.recognised,
            len(cache),
            cache.ways,
            cache.size,
        )

    @contextlib.contextmanager
    def admit(self, address: str = "") -> Iterator[Reservation]:
        """Hold the memory for a body that comes from `address`, and count how the request ends.

        Raises RequestError 429 if the queue is full. In it no body has a place that is still coming.
        """
        owner = owner_of(address)
        try:
            self._check_queue()
            with Reservation(self._bodies_of(owner), MEMORY) as memory:
                yield memory
            self._answered += 1
        except RequestError:
            self._refused += 1
            raise
        finally:
            if owner in self._parts and not self._parts[owner].used:
                del self._parts[owner]

    def _bodies_of(self, owner: str) -> Budget:
        """Return the memory for bodies of one address: a part of that for all, or all of it on this machine."""
        if not owner:
            return self.bodies
        # a body of any size that is allowed must fit, with the audio in it
        part = min(self.bodies.max_bytes, max(self.bodies.max_bytes // 2, 2 * self.max_body_bytes))
        return self._parts.setdefault(owner, Part(self.bodies, part))

    def _check_queue(self) -> None:
        if self._waiting >= self._settings.queue:
            raise RequestError(429, f"{self._settings.queue} requests are waiting already", retry_after=1)

    async def classify(
        self, entry: Entry, body: bytes, query: Mapping[str, str], headers: Mapping[str, str], memory: Reservation
    ) -> ClipAnswer:
        """Return the answer to a request, whose body `memory` counts. It waits in the queue. Raises RequestError."""
        self._check_queue()
        self._waiting += 1
        try:
            classifying = self._classify(entry, body, query, headers, memory)
            del body
            return await classifying
        finally:
            self._waiting -= 1

    async def _classify(
        self, entry: Entry, body: bytes, query: Mapping[str, str], headers: Mapping[str, str], memory: Reservation
    ) -> ClipAnswer:
        began = time.monotonic()
        sent = await self._sent(entry, body, query, headers)
        known = self._cache.recognise(sent) if sent is not None else None
        if known is not None:
            return ClipAnswer(known.answer, known.seconds, None, known.warning)
        request = await self.parse(body, query, memory)
        del body  # it may be 64 MB, and the queue long
        checkpoint = await self._loaded(entry, request.options, headers)
        parameters, options = request.parameters, request.options
        given = given_labels(checkpoint, parameters)
        with Reservation(self.decoded, MEMORY) as room:
            decoding = self._decode(request.audio, checkpoint, room)
            del request
            clip = await decoding
            memory.release()
            key = Key.of(
                entry.id,
                self._revision(entry, checkpoint),
                clip.digest,
                checkpoint.scored_by(parameters.function_to_apply),
                parameters.top_k,
                labels=len(given.names if given else checkpoint.labels),
                given=given.digest if given else b"",
            )
            use_cache = options.use_cache and parse_switch(headers.get("x-use-cache"), True)
            answer, work = self._cache.get(key) if use_cache else None, None
            if answer is None:
                answer = await self._score(checkpoint, clip, key, given)
                work = time.monotonic() - began
                self._cache.put(key, answer)
            if sent is not None and use_cache:  # a body may forbid the cache too, and then it always does
                self._cache.recognise_from_now(sent, key, clip.seconds, clip.warning)
            return ClipAnswer(answer, clip.seconds, work, clip.warning)

    async def _sent(
        self, entry: Entry, body: bytes, query: Mapping[str, str], headers: Mapping[str, str]
    ) -> bytes | None:
        """Return the hash by which the request is recognised. None if it must not be, or its model is not loaded."""
        checkpoint = self._registry.loaded(entry)
        if checkpoint is None or not parse_switch(headers.get("x-use-cache"), True):
            return None
        key = partial(sent_key, entry.id, self._revision(entry, checkpoint), body, query)
        return key() if len(body) <= MAX_HASHED_BYTES else await self._decoders.run(key)

    def _revision(self, entry: Entry, checkpoint: Checkpoint) -> str:
        """Return what differs as soon as the model's name means something else; a folder may have no revision."""
        return f"{checkpoint.revision} {self._registry.meaning(entry)}"

    async def parse(self, body: bytes, query: Mapping[str, str], memory: Reservation) -> ParsedRequest:
        """Return the request in `body`; `memory` counts its audio instead of the body from then on."""
        parse = partial(parse_request, body, query, memory.take)
        request = parse() if len(body) <= MAX_INLINE_BYTES else await self._decoders.run(parse)
        if request.audio is not body:
            memory.give(len(body))
        return request

    async def _loaded(self, entry: Entry, options: Options, headers: Mapping[str, str]) -> Checkpoint:
        """Return the model when it is loaded, waiting as the request wants it. Raises what loaded() raises."""
        wait = options.wait_for_model or parse_switch(headers.get("x-wait-for-model"), False)
        timeout = self._settings.wait if wait else BUSY_DELAY_SECONDS
        return await loaded(self._registry, entry, timeout, load=parse_switch(headers.get("x-load-model"), True))

    async def _decode(self, content: bytes, checkpoint: Checkpoint, room: Reservation) -> Clip:
        """Return the clip at the model's rate, which `room` counts. Raises RequestError 400 or 413."""
        try:
            clip = await self._decoders.decode(content, checkpoint.rate, room)
        except TooMuchAudio as error:
            raise RequestError(413, str(error)) from None
        except AudioError as error:
            raise RequestError(400, MALFORMED, reason=f"{error}. {TAKEN}.") from None
        if len(clip.samples) < checkpoint.minimum:
            raise RequestError(400, f"audio too short: {len(clip.samples)} samples, need at least {checkpoint.minimum}")
        return clip

    async def _head(self, checkpoint: Checkpoint, given: LabelSet) -> Head:
        """Return the head of the labels that a request gives. Raises RequestError 400, 503 or 500."""
        try:
            return await self._vectors.head(checkpoint, given, asked=True)
        except LabelsRefused as error:
            raise RequestError(400, f"Invalid value for `{LABELS}`: {error}") from None
        except (WorkerDied, Unavailable) as error:
            raise RequestError(503, str(error), retry_after=RETRY_AFTER_SECONDS) from None
        except WorkerError as error:
            log.error("labels of a request were not read: %s", error)
            raise RequestError(500, f"{checkpoint.name} failed on these labels; the log has the reason") from None

    async def _score(self, checkpoint: Checkpoint, clip: Clip, key: Key, given: LabelSet | None) -> bytes:
        """Return the JSON of the answer. Raises RequestError 503, 422, 500, or 400 for labels that were given."""
        poison = PoisonClip(key.model, key.revision, key.audio.hex())
        if self._poison.is_refused(poison):
            raise _deadly()
        deaths = self._poison.deaths(poison)
        head = await self._head(checkpoint, given) if given else None
        try:
            scores = await self._scorer.scores(
                checkpoint.name,
                clip.samples,
                max_samples=checkpoint.window or checkpoint.limit or round(self._settings.window * checkpoint.rate),
                min_samples=checkpoint.window or 0,  # as Whisper's extractor pads; so that clips can share a batch
                scoring=key.scoring,
                alone=deaths > 0,
                head=head,
            )
        except WorkerDied:
            if await self._poison.add_death(poison):
                raise _deadly() from None
            await asyncio.sleep(BUSY_DELAY_SECONDS)
            text = "the model process died or hung on this clip; it is tried once more when it comes again"
            raise RequestError(503, text, retry_after=RETRY_AFTER_SECONDS) from None
        except WorkerError as error:
            log.error("a clip was not classified: %s", error)
            raise RequestError(500, f"{checkpoint.name} failed on this clip; the log has the reason") from None
        if deaths:
            self._poison.forget(poison)
        return encode_scores(given.names if given else checkpoint.labels, scores, key.top_k)


def _deadly() -> RequestError:
    remedy = f"it is not tried again until {FILE} in the daemon's state folder is deleted"
    return RequestError(422, f"the model process died {MAX_DEATHS} times on this clip; {remedy}")
