"""Answers that were given before, bounded by the memory that they take."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from earmark.api.request import Parameters
from earmark.inference.scores import Function

OVERHEAD_BYTES = 400  # of an entry besides its answer: the key, the objects, the links


@dataclass(frozen=True, slots=True)
class Key:
    """Everything that an answer depends on. `audio` is a hash of the decoded samples; the rest is in canonical form."""

    model: str
    revision: str
    audio: bytes
    function: Function
    top_k: int

    @classmethod
    def of(cls, model: str, revision: str, audio: bytes, parameters: Parameters, usual: Function, labels: int) -> Key:
        """Return the key of a request to a model with so many labels, whose `usual` function the parameters may change.

        Requests with the same answer have the same key: every `top_k` from the number of labels on means all.
        """
        top_k = labels if parameters.top_k is None else min(parameters.top_k, labels)
        return cls(model, revision, audio, parameters.function_to_apply or usual, top_k)


class Cache:
    """Answers by key. If all together are larger than `max_bytes`, the least recently used is dropped."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._answers: OrderedDict[Key, bytes] = OrderedDict()
        self.size = 0  # bytes, with OVERHEAD_BYTES for each
        self.hits = 0
        self.misses = 0

    def __len__(self) -> int:
        return len(self._answers)

    def get(self, key: Key) -> bytes | None:
        """Return the answer, which counts as used now, or None."""
        answer = self._answers.get(key)
        if answer is None:
            self.misses += 1
            return None
        self.hits += 1
        self._answers.move_to_end(key)
        return answer

    def put(self, key: Key, answer: bytes) -> None:
        """Keep an answer, unless it alone is larger than the whole cache may be."""
        if len(answer) + OVERHEAD_BYTES > self._max_bytes:
            return
        if key in self._answers:
            self.size -= len(self._answers.pop(key)) + OVERHEAD_BYTES
        self._answers[key] = answer
        self.size += len(answer) + OVERHEAD_BYTES
        while self.size > self._max_bytes:
            _, oldest = self._answers.popitem(last=False)
            self.size -= len(oldest) + OVERHEAD_BYTES
