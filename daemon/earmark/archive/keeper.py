"""From the events of labels to the sound that is kept of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial

import msgspec

from earmark.archive.archive import Archive
from earmark.archive.kept_clip import KeptClip, described
from earmark.broadcast.sink import Published
from earmark.config.settings import Clips
from earmark.errors import EarmarkError
from earmark.protocol.events import ClassifierInfo, Label
from earmark.windowing.inbox import Excerpt

MAX_LASTING = 256  # labels that are on at the same time and whose sound is kept

log = logging.getLogger(__name__)

Capture = Callable[[str, int, int, int], Future[Excerpt]]
"""Reads the samples [start, end) of a source at a rate when they have come: Segmenter.capture()."""


@dataclass(frozen=True, slots=True)
class _Lasting:
    """A label that is on, and the read that ends where its clip would be cut."""

    clip: KeptClip
    reading: Future[Excerpt]


class Keeper:
    """A Sink that has the sound of each label captured whose event names a clip, and hands it to the archive.

    A clip begins `pre_roll` before the label. It ends `post_roll` after the label's end, or is cut `max_seconds` after
    its beginning: the sound that comes later may not be in memory any more when the label ends. One that was cut is
    there while its label is still on. `rate_of` returns the
    sample rate of a classifier, or None if there is none of that name. On the event loop.
    """

    def __init__(
        self, settings: Clips, capture: Capture, archive: Archive, rate_of: Callable[[str], int | None]
    ) -> None:
        self._settings = settings
        self._capture = capture
        self._archive = archive
        self._rate_of = rate_of
        self._lasting: dict[str, _Lasting] = {}  # by the ids of the labels

    def publish(self, published: Published) -> None:
        """Take the event. Never waits."""
        event = published.event
        if not isinstance(event, Label):
            return
        lasting = self._lasting.pop(event.id, None)
        if event.clip and event.state == "on" and event.end is None:
            self._begin(event)
        elif lasting is not None and not lasting.reading.cancel():
            if event.clip and event.end is not None:
                self._shorten(lasting, event.end)
        elif event.clip and event.end is not None:
            score = lasting.clip.score if lasting is not None else event.score or published.on_score
            self._end(event, event.end, score)

    def change(self, settings: Clips, classifiers: Mapping[str, ClassifierInfo]) -> None:
        """Go by other settings. What is not to be kept any more is not."""
        self._settings = settings
        for identity, lasting in list(self._lasting.items()):
            info = classifiers.get(lasting.clip.classifier)
            if info is None or lasting.clip.label not in info.clips:
                lasting.reading.cancel()
                del self._lasting[identity]

    def _begin(self, event: Label) -> None:
        """Read up to where the clip is cut. If the label ends sooner, another read takes the place of this one."""
        if len(self._lasting) >= MAX_LASTING:
            self._archive.lose("queue")
            return
        clip = described(event, None)
        reading = self._read(clip, event.start + self._settings.max_seconds)
        if reading is not None:
            self._lasting[event.id] = _Lasting(clip, reading)

    def _end(self, event: Label, end: float, score: float | None) -> None:
        cut = event.start + self._settings.max_seconds
        clip = msgspec.structs.replace(described(event, end), score=score)
        self._read(clip, min(end + self._settings.post_roll, cut))

    def _shorten(self, lasting: _Lasting, end: float) -> None:
        """Write the clip anew if all of its sound had come before the label was known to have ended within it.

        Recordings that are read faster than they sound, and sources that break, deliver so.
        """
        if lasting.reading.exception() is not None:
            return
        excerpt = lasting.reading.result()
        rate = self._rate_of(lasting.clip.classifier)
        if rate is None or end * rate > excerpt.position + len(excerpt.samples):
            return
        samples = excerpt.samples[: round((end + self._settings.post_roll) * rate) - excerpt.position]
        clip = msgspec.structs.replace(lasting.clip, end=end)
        self._archive.keep(_placed(clip, rate, Excerpt(excerpt.position, samples)), samples, replaces=True)

    def _read(self, clip: KeptClip, end: float) -> Future[Excerpt] | None:
        rate = self._rate_of(clip.classifier)
        if rate is None:
            self._archive.lose("sound")
            return None
        start = max(0.0, clip.start - self._settings.pre_roll)
        reading = self._capture(clip.source, rate, round(start * rate), round(end * rate))
        reading.add_done_callback(partial(self._captured, clip, rate))
        return reading

    def _captured(self, clip: KeptClip, rate: int, reading: Future[Excerpt]) -> None:
        """Hand the sound on. On the segmenter thread, or where the sound was there already."""
        if reading.cancelled():
            return
        try:
            excerpt = reading.result()
        except EarmarkError as error:
            self._archive.lose("sound")
            log.info("the clip %s is not kept: %s", clip.id, error)
            return
        self._archive.keep(_placed(clip, rate, excerpt), excerpt.samples)


def _placed(clip: KeptClip, rate: int, excerpt: Excerpt) -> KeptClip:
    """Return the clip with where its sound lies."""
    begins, seconds = round(excerpt.position / rate, 3), round(len(excerpt.samples) / rate, 3)
    return msgspec.structs.replace(clip, begins=begins, seconds=seconds, rate=rate)
