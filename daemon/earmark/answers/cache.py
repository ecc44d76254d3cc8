"""Answers that were given before, bounded by the memory that they take."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from earmark.checkpoints.checkpoint import Scoring

OVERHEAD_BYTES = 500  # of an answer besides its bytes: the key, the objects, the links
SENT_BYTES = 350  # of one way in which it was asked for, besides the warning
MAX_WAYS = 4  # in which an answer was asked for, that are known: forms have a boundary of their own each time


@dataclass(frozen=True, slots=True)
class Key:
    """Everything that an answer depends on. `audio` is a hash of the decoded samples; the rest is in canonical form."""

    model: str
    revision: str
    audio: bytes
    scoring: Scoring
    top_k: int
    given: bytes = b""  # a hash of labels that the request has given

    @classmethod
    def of(
        cls,
        model: str,
        revision: str,
        audio: bytes,
        scoring: Scoring,
        top_k: int | None,
        *,
        labels: int,
        given: bytes = b"",
    ) -> Key:
        """Return the key of a request with so many labels, which are those of the model or `given` ones.

        Requests with the same answer have the same key: every `top_k` from the number of labels on means all.
        """
        return cls(model, revision, audio, scoring, labels if top_k is None else min(top_k, labels), given)


@dataclass(frozen=True, slots=True)
class Known:
    """The answer to a request that was sent before in the same bytes, the seconds of its clip, and its warning."""

    answer: bytes
    seconds: float
    warning: str


@dataclass(frozen=True, slots=True)
class _Way:
    key: Key
    seconds: float
    warning: str

    @property
    def size(self) -> int:
        return SENT_BYTES + len(self.warning)


@dataclass(slots=True)
class _Entry:
    answer: bytes
    ways: list[bytes] = field(default_factory=list)  # oldest first


class Cache:
    """Answers by key, and by the hash of a request as it was sent (see sent_key()), which is known before the key is.

    If all together are larger than `max_bytes`, the least recently used answer is dropped, with the ways to it.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._entries: OrderedDict[Key, _Entry] = OrderedDict()
        self._ways: dict[bytes, _Way] = {}
        self.size = 0  # bytes, with OVERHEAD_BYTES for each answer and SENT_BYTES for each way to it
        self.hits = 0
        self.misses = 0
        self.recognised = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def ways(self) -> int:
        """How many requests are recognised as they are sent."""
        return len(self._ways)

    def recognise(self, sent: bytes) -> Known | None:
        """Return the answer to a request that is sent as one was before, or None. The answer counts as used now."""
        way = self._ways.get(sent)
        if way is None:
            return None
        self.recognised += 1
        self._entries.move_to_end(way.key)
        return Known(self._entries[way.key].answer, way.seconds, way.warning)

    def get(self, key: Key) -> bytes | None:
        """Return the answer, which counts as used now, or None."""
        entry = self._entries.get(key)
        if entry is None:
            self.misses += 1
            return None
        self.hits += 1
        self._entries.move_to_end(key)
        return entry.answer

    def put(self, key: Key, answer: bytes) -> None:
        """Keep an answer, unless it alone is larger than the cache may be. The ways to an older one lead to it now."""
        if len(answer) + OVERHEAD_BYTES > self.max_bytes:
            return
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = _Entry(b"")
            self.size += OVERHEAD_BYTES
        self.size += len(answer) - len(entry.answer)
        entry.answer = answer
        self._entries.move_to_end(key)
        self._shrink()

    def recognise_from_now(self, sent: bytes, key: Key, seconds: float, warning: str) -> None:
        """Recognise a request with the answer at `key`, if that is kept, when it is sent again."""
        entry = self._entries.get(key)
        if entry is None or sent in self._ways:
            return
        if len(entry.ways) == MAX_WAYS:
            self._forget(entry.ways.pop(0))
        entry.ways.append(sent)
        self._ways[sent] = way = _Way(key, seconds, warning)
        self.size += way.size
        self._shrink()

    def _shrink(self) -> None:
        while self.size > self.max_bytes:
            _, oldest = self._entries.popitem(last=False)
            self.size -= len(oldest.answer) + OVERHEAD_BYTES
            for sent in oldest.ways:
                self._forget(sent)

    def _forget(self, sent: bytes) -> None:
        self.size -= self._ways.pop(sent).size
