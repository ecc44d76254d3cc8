"""Answers that were given before, bounded by the memory that they take."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from earmark.api.request import Parameters
from earmark.inference.scores import Function

OVERHEAD = 400  # bytes of an entry besides its answer: the key, the objects, the links


@dataclass(frozen=True, slots=True)
class Key:
    """What an answer depends on. `audio` is a hash of the decoded samples; the parameters are in canonical form."""

    model: str
    revision: str
    audio: bytes
    function: Function
    top_k: int

    @classmethod
    def of(cls, model: str, revision: str, audio: bytes, parameters: Parameters, usual: Function, labels: int) -> Key:
        """All `top_k` beyond the number of labels are the same; so is what is left out and what it stands for."""
        top_k = labels if parameters.top_k is None else min(parameters.top_k, labels)
        return cls(model, revision, audio, parameters.function_to_apply or usual, top_k)


class Cache:
    """Least recently used goes first. `most` is in bytes; 0 keeps nothing."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._answers: OrderedDict[Key, bytes] = OrderedDict()
        self.size = 0  # bytes, with OVERHEAD for each
        self.hits = 0
        self.misses = 0

    def __len__(self) -> int:
        return len(self._answers)

    def get(self, key: Key) -> bytes | None:
        """The answer, which counts as used now; None where there is none."""
        found = self._answers.get(key)
        if found is None:
            self.misses += 1
            return None
        self.hits += 1
        self._answers.move_to_end(key)
        return found

    def put(self, key: Key, answer: bytes) -> None:
        """Keep an answer, if it is not larger than everything may be."""
        if len(answer) + OVERHEAD > self._most:
            return
        if key in self._answers:
            self.size -= len(self._answers.pop(key)) + OVERHEAD
        self._answers[key] = answer
        self.size += len(answer) + OVERHEAD
        while self.size > self._most:
            _, oldest = self._answers.popitem(last=False)
            self.size -= len(oldest) + OVERHEAD


class PoisonClips:
    """Clips under which the model process died, by their Key's model, revision and audio. The oldest are forgotten."""

    def __init__(self, most: int = 1024) -> None:
        self._most = most
        self._deaths: OrderedDict[tuple[str, str, bytes], int] = OrderedDict()

    def deaths(self, key: Key) -> int:
        """How often it died under this clip, and no other beside it."""
        return self._deaths.get((key.model, key.revision, key.audio), 0)

    def died(self, key: Key) -> int:
        """Once more: how often that makes."""
        clip = (key.model, key.revision, key.audio)
        count = self._deaths.pop(clip, 0) + 1
        self._deaths[clip] = count
        while len(self._deaths) > self._most:
            self._deaths.popitem(last=False)
        return count

    def cleared(self, key: Key) -> None:
        """It was answered after all."""
        self._deaths.pop((key.model, key.revision, key.audio), None)
