"""Inputs: grown by a target's grammar, changed as bytes, and spliced with others."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random

from tests.fuzz.target import Target

EDGES = (0, 1, -1, 7, 255, 256, 65535, 65536, 2**31 - 1, 2**31, 2**32, 2**63 - 1, 2**63, 2**64, 10**30)
NUMBERS = (
    *(str(number).encode() for number in EDGES),
    *(b"1e308", b"1e999", b"-0", b"0.0", b"nan", b"inf", b"1" * 400, b"1" * 5000, b"0x10", b"\xd9\xa1", b"1_000"),
)
BYTES = b"\x00\x01\x07\x09\x0a\x0d\x1b\x20\x22\x25\x26\x2c\x3a\x3b\x3d\x5b\x5c\x7b\x7f\x80\x85\xa0\xc3\xe2\xed\xfe\xff"
ODD = (
    "\u2028".encode(),
    "\u202e".encode(),
    "\x85".encode(),
    "\ufeff".encode(),
    "ﬀ".encode(),
    "İ".encode(),
    "😀".encode(),
    b"\xed\xa0\x80",  # half of a surrogate pair
    b"\xc0\x80",  # NUL, written too long
    b"\\ud800",
    b"%00",
    b"%0d%0a",
    b"\r\n",
    b"\r\n\r\n",
)
MAX_POOL = 2000  # inputs that brought something new; then they replace others
MAX_POOLED_BYTES = 4096  # of one of them: the pool must not look like growth of the parser
_DIGITS = re.compile(rb"[0-9]+")


class Inputs:
    """Endless inputs for one target, the same ones for the same seed and the same outcomes."""

    def __init__(self, target: Target, chance: Random) -> None:
        self._target = target
        self._chance = chance
        self._pool = list(target.seeds())
        self._changes: Sequence[Callable[[bytearray], None]] = (
            *(self._flip, self._replace, self._insert, self._delete, self._repeat, self._word, self._word),
            *(self._number, self._splice, self._cut, self._odd, self._swap),
        )

    def keep(self, data: bytes) -> None:
        """Begin from this input too: it brought something new."""
        if len(data) > MAX_POOLED_BYTES:
            return
        if len(self._pool) < MAX_POOL:
            self._pool.append(data)
        else:
            self._pool[self._chance.randrange(MAX_POOL)] = data

    def next(self) -> bytes:
        """Return another input."""
        chance, kind = self._chance, self._chance.random()
        if kind < 0.3 or not self._pool:
            return self._target.grow(chance)[: self._target.max_bytes]
        data = bytearray(self._target.grow(chance) if kind < 0.5 else chance.choice(self._pool))
        for _ in range(1 + int(chance.expovariate(0.6))):
            chance.choice(self._changes)(data)
        return bytes(data[: self._target.max_bytes])

    def _at(self, data: bytearray) -> int:
        return self._chance.randrange(len(data) + 1)

    def _stretch(self, data: bytearray) -> tuple[int, int]:
        start = self._at(data)
        longest = len(data) if self._chance.random() < 0.1 else 16
        return start, min(len(data), start + self._chance.randrange(longest + 1))

    def _flip(self, data: bytearray) -> None:
        if data:
            data[self._chance.randrange(len(data))] ^= 1 << self._chance.randrange(8)

    def _replace(self, data: bytearray) -> None:
        if data:
            data[self._chance.randrange(len(data))] = self._chance.choice(BYTES)

    def _insert(self, data: bytearray) -> None:
        place = self._at(data)
        data[place:place] = self._chance.randbytes(self._chance.choice((1, 1, 2, 4, 40)))

    def _delete(self, data: bytearray) -> None:
        start, end = self._stretch(data)
        del data[start:end]

    def _repeat(self, data: bytearray) -> None:
        start, end = self._stretch(data)
        times = self._chance.choice((1, 1, 2, 8, 100, 5000))
        times = min(times, self._target.max_bytes // max(1, end - start) + 1)
        data[end:end] = data[start:end] * times

    def _word(self, data: bytearray) -> None:
        place = self._at(data)
        data[place:place] = self._chance.choice(self._target.words)

    def _number(self, data: bytearray) -> None:
        found = list(_DIGITS.finditer(data[:10_000]))
        if found:
            start, end = self._chance.choice(found).span()
            data[start:end] = self._chance.choice(NUMBERS)

    def _splice(self, data: bytearray) -> None:
        other = self._chance.choice(self._pool)
        start, end = self._at(data), self._chance.randrange(len(other) + 1)
        data[start:] = other[end:]

    def _cut(self, data: bytearray) -> None:
        del data[self._at(data) :]

    def _odd(self, data: bytearray) -> None:
        place = self._at(data)
        data[place:place] = self._chance.choice(ODD)

    def _swap(self, data: bytearray) -> None:
        start, end = self._stretch(data)
        moved = data[start:end]
        del data[start:end]
        place = self._at(data)
        data[place:place] = moved


def smaller(data: bytes, still_wrong: Callable[[bytes], bool], tries: int = 3000) -> bytes:
    """Return a part of `data` that is still wrong, and from which little can be taken away."""
    size = max(1, len(data) // 2)
    while size and tries > 0:
        start = 0
        while start < len(data) and tries > 0:
            tries -= 1
            candidate = data[:start] + data[start + size :]
            if still_wrong(candidate):
                data = candidate
            else:
                start += size
        size //= 2
    return data
