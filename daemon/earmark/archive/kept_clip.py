"""What is known of a kept clip, in its file and in lists."""

from __future__ import annotations

import re
from datetime import datetime

import msgspec

from earmark.protocol.endpoints import CLIPS
from earmark.protocol.events import Label

ENDING = ".flac"

_IDENTITY = re.compile(r"[A-Za-z0-9]{1,32}-[0-9]{1,19}", re.ASCII)


class KeptClip(msgspec.Struct, frozen=True):
    """A clip and the label that it was kept for. `id` is that of the label.

    `start` and `end` are those of the label in seconds of the source's stream; `end` is None if the clip was
    finished before it, because it was cut or because the sound ended. `begins` is where the clip begins in the stream.
    `time` and `start_time` are those of the event, `rate` is in Hz. `path` is where the daemon serves the clip, and
    `bytes` the size of the file.
    """

    id: str
    path: str
    time: str
    source: str
    classifier: str
    label: str
    score: float | None
    start: float
    end: float | None
    start_time: str
    begins: float = 0.0
    seconds: float = 0.0
    rate: int = 0
    bytes: int = 0

    @property
    def key(self) -> str:
        """What clips are sorted by: their times, which all have the same form, and among equal ones their ids."""
        return f"{self.time}_{self.id}"

    @property
    def moment(self) -> datetime:
        """The time of the event."""
        return datetime.fromisoformat(self.time)


def described(event: Label, end: float | None) -> KeptClip:
    """Return what the event of a label tells of its clip."""
    return KeptClip(
        event.id,
        f"{CLIPS}/{event.id}",
        event.time,
        event.source,
        event.classifier,
        event.label,
        event.score,
        event.start,
        end,
        event.start_time,
    )


def is_identity(text: str) -> bool:
    """Return whether the text may be the id of a label, and so the name of a file."""
    return _IDENTITY.fullmatch(text) is not None


def to_comment(clip: KeptClip) -> str:
    """Return the comment that the file of the clip carries."""
    return msgspec.json.encode(clip).decode()


def from_comment(text: str) -> KeptClip:
    """Return the clip that the comment of a file tells of. Raises ValueError if it tells of none."""
    try:
        clip = msgspec.json.decode(text, type=KeptClip)
        if is_identity(clip.id) and clip.moment.tzinfo is not None:
            return clip
    except ValueError:
        pass
    raise ValueError("the comment tells of no kept clip")
