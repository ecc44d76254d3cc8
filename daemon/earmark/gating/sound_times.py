"""How much of a source's sound was heard, and for how much of it each classifier's gate was open."""

from __future__ import annotations

import msgspec


class SoundStats(msgspec.Struct, frozen=True):
    """Seconds of sound since the source was added: all that was heard, and those in open gates, by classifier."""

    heard: float
    open: dict[str, float]


class SoundTimes:
    """The seconds of one source. Positions are samples in the source's stream at the rate beside them.

    The segmenter thread alone writes. One other thread at a time may call stats(): a stale value does no harm.
    """

    def __init__(self) -> None:
        self._samples: dict[int, int] = {}  # heard, by rate
        self._end = 0.0  # of the newest sound, in seconds of the stream
        self._opened: dict[str, float] = {}  # where the gates that are open now opened, in seconds of the stream
        self._closed: dict[str, float] = {}  # seconds in gates that have closed
        self._told: dict[str, float] = {}  # by stats()

    def hear(self, end: int, samples: int, rate: int) -> None:
        """Count `samples` that end at the position `end`."""
        self._samples[rate] = self._samples.get(rate, 0) + samples
        self._end = end / rate

    def open(self, classifier: str, position: int, rate: int) -> None:
        """Note that the gate of a classifier opened."""
        self._opened[classifier] = position / rate

    def close(self, classifier: str, position: int, rate: int) -> None:
        """Note that it closed."""
        opened = self._opened.pop(classifier, None)
        if opened is not None:
            self._closed[classifier] = self._closed.get(classifier, 0.0) + max(0.0, position / rate - opened)

    def stats(self) -> SoundStats:
        """Return the seconds so far, which never fall.

        An open gate counts up to the newest sound. When it closes, it turns out that the sound had ended before that:
        the seconds stand still then, until the sounds that follow have made good for it.
        """
        heard = sum(samples / rate for rate, samples in list(self._samples.items()))
        seconds = dict(self._closed)
        for classifier, opened in list(self._opened.items()):
            seconds[classifier] = seconds.get(classifier, 0.0) + max(0.0, self._end - opened)
        for name, length in seconds.items():
            self._told[name] = max(self._told.get(name, 0.0), round(length, 3))
        return SoundStats(round(heard, 3), dict(self._told))
