"""A label set: what a model shall tell apart, in words that are given at run time."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from earmark.config.labels import PLACE, TEMPLATE


@dataclass(frozen=True, slots=True)
class LabelSet:
    """Labels, and those of the `background`, which share the score with them and never go on.

    `template` is the text that the model reads for a label. config.labels.wrong_label_set() has found nothing wrong.
    """

    labels: tuple[str, ...]
    background: tuple[str, ...] = ()
    template: str = TEMPLATE

    @property
    def names(self) -> tuple[str, ...]:
        """All labels, in the order of the scores."""
        return (*self.labels, *self.background)

    @property
    def digest(self) -> bytes:
        """A hash of all of it."""
        told = msgspec.msgpack.encode((self.labels, self.background, self.template))
        return hashlib.blake2b(told, digest_size=32).digest()

    @property
    def texts(self) -> tuple[str, ...]:
        """What the model reads, in the same order."""
        return tuple(self.template.replace(PLACE, name) for name in self.names)


def parts(texts: Sequence[str], most: int) -> list[Sequence[str]]:
    """Return the texts in parts of `most` at most."""
    return [texts[start : start + most] for start in range(0, len(texts), most)]
