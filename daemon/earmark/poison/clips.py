"""Which clips the model process died on, and how often."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import NamedTuple

MAX_DEATHS = 2  # under the same clip, after which it is not tried any more
MAX_CLIPS = 1024  # that are counted


class Clip(NamedTuple):
    """A clip for one model: its id, its revision, and a hash of the sound in hexadecimal digits."""

    model: str
    revision: str
    audio: str


class PoisonClips:
    """Counts deaths by clip. The oldest are forgotten. `deadly` are clips that are refused from the beginning."""

    def __init__(self, deadly: Iterable[Clip] = (), max_clips: int = MAX_CLIPS) -> None:
        self._max_clips = max_clips
        self._deaths: OrderedDict[Clip, int] = OrderedDict((clip, MAX_DEATHS) for clip in deadly)

    def deaths(self, clip: Clip) -> int:
        """Return how often the process died while it had this clip and no other."""
        return self._deaths.get(clip, 0)

    def is_deadly(self, clip: Clip) -> bool:
        """Return whether the clip is not to be tried again."""
        return self.deaths(clip) >= MAX_DEATHS

    def add_death(self, clip: Clip) -> None:
        """Count one more death."""
        self._deaths[clip] = self._deaths.pop(clip, 0) + 1
        while len(self._deaths) > self._max_clips:
            self._deaths.popitem(last=False)

    def forget(self, clip: Clip) -> None:
        """Clear a clip that was answered after all."""
        self._deaths.pop(clip, None)

    def pardon(self) -> None:
        """Forget all clips that are not to be tried again."""
        for clip in self.deadly():
            del self._deaths[clip]

    def deadly(self) -> tuple[Clip, ...]:
        """Return the clips that are not to be tried again, the newest last."""
        return tuple(clip for clip, count in self._deaths.items() if count >= MAX_DEATHS)
