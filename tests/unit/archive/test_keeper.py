from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import numpy as np
import pytest

from earmark.archive.archive import Archive
from earmark.archive.keeper import Keeper
from earmark.archive.kept_clip import KeptClip
from earmark.audio.types import Samples
from earmark.broadcast.sink import Published
from earmark.config.settings import Clips
from earmark.errors import SourceError
from earmark.protocol.events import ClassifierInfo, Label
from earmark.windowing.inbox import Excerpt
from tests.serving import TIME, result

RATE = 1000
SETTINGS = Clips(pre_roll=1.0, post_roll=0.5, max_seconds=10.0)


class Kept(Archive):
    """An archive that writes nothing, and remembers what it was given."""

    def __init__(self) -> None:
        super().__init__(None, SETTINGS)
        self.clips: list[KeptClip] = []

    def keep(self, clip: KeptClip, samples: Samples, *, replaces: bool = False) -> None:
        assert len(samples) == round(clip.seconds * RATE)
        assert replaces == (clip.id in [each.id for each in self.clips])
        self.clips.append(clip)


class Room:
    """A keeper, and the reads that it has asked for: when and from where to where, in samples."""

    def __init__(self) -> None:
        self.archive = Kept()
        self.reads: list[tuple[int, int]] = []
        self.futures: list[Future[Excerpt]] = []
        self.keeper = Keeper(SETTINGS, self.capture, self.archive, {"emotion": RATE}.get)

    def capture(self, source: str, rate: int, start: int, end: int) -> Future[Excerpt]:
        assert (source, rate) == ("desk", RATE)
        self.reads.append((start, end))
        self.futures.append(Future())
        return self.futures[-1]

    def tell(self, state: str, **fields: Any) -> None:
        told: dict[str, Any] = {"clip": "/v1/clips/e-1", "start": 5.0, "start_time": TIME} | fields
        event = Label(7, TIME, "desk", told.pop("classifier", "emotion"), "e-1", "happy", state, **told)  # type: ignore[arg-type]
        self.keeper.publish(Published(event, b"", 0.7))

    def come(self, read: int) -> None:
        """Let all sound of a read come."""
        start, end = self.reads[read]
        if self.futures[read].set_running_or_notify_cancel():
            self.futures[read].set_result(Excerpt(start, np.zeros(end - start, dtype=np.float32)))


def test_an_utterance_is_read_from_before_its_start_to_behind_its_end() -> None:
    room = Room()
    room.tell("on", end=5.6, score=0.9, reason="utterance")
    assert room.reads == [(4000, 6100)]
    room.come(0)
    (clip,) = room.archive.clips
    assert (clip.id, clip.path, clip.begins, clip.seconds, clip.rate) == ("e-1", "/v1/clips/e-1", 4.0, 2.1, RATE)
    assert (clip.start, clip.end, clip.score, clip.label) == (5.0, 5.6, 0.9, "happy")


def test_a_label_that_ends_in_time_is_read_to_its_end_and_has_the_score_of_its_on() -> None:
    room = Room()
    room.tell("on", score=0.8)
    assert room.reads == [(4000, 15_000)]
    room.tell("off", end=9.0, reason="quiet", peak=0.95)
    assert room.futures[0].cancelled()
    assert room.reads[1:] == [(4000, 9500)]
    room.come(1)
    assert [(clip.end, clip.score) for clip in room.archive.clips] == [(9.0, 0.8)]


def test_a_label_that_lasts_too_long_is_cut_and_kept_once() -> None:
    room = Room()
    room.tell("on", score=0.8)
    room.come(0)
    room.tell("off", end=60.0, reason="quiet")
    assert len(room.reads) == 1
    assert [(clip.end, clip.seconds) for clip in room.archive.clips] == [(None, 11.0)]


def test_a_clip_whose_sound_came_before_the_labels_end_was_known_is_shortened() -> None:
    room = Room()
    room.tell("on", score=0.8)
    room.come(0)
    room.tell("off", end=9.0, reason="quiet")
    assert len(room.reads) == 1
    assert [(clip.end, clip.seconds) for clip in room.archive.clips] == [(None, 11.0), (9.0, 5.5)]


def test_a_label_that_ends_with_its_source_has_all_the_sound_that_there_was() -> None:
    room = Room()
    room.tell("on", score=0.8)
    room.futures[0].set_result(Excerpt(4000, np.zeros(3200, dtype=np.float32)))
    room.tell("off", end=7.0, reason="source_lost")
    assert [(clip.end, clip.seconds, clip.score) for clip in room.archive.clips] == [(None, 3.2, 0.8), (7.0, 3.2, 0.8)]


def test_a_label_whose_sound_could_not_be_read_ends_without_a_clip() -> None:
    room = Room()
    room.tell("on", score=0.8)
    room.futures[0].set_exception(SourceError("desk: nothing of the sound is kept any more"))
    room.tell("off", end=7.0, reason="quiet")
    assert (room.archive.clips, room.archive.stats().lost["sound"]) == ([], 1)


def test_a_clip_begins_with_the_stream_at_the_earliest_and_tells_what_was_left_out() -> None:
    room = Room()
    room.tell("on", start=0.25, end=1.0, reason="utterance")
    assert room.reads == [(0, 1500)]
    room.futures[0].set_result(Excerpt(400, np.zeros(1100, dtype=np.float32)))
    assert [(clip.begins, clip.seconds) for clip in room.archive.clips] == [(0.4, 1.1)]


@pytest.mark.parametrize("fields", [{"end": 5.6, "reason": "utterance"}, {}])
def test_a_label_whose_event_names_no_clip_is_never_read(fields: dict[str, Any]) -> None:
    room = Room()
    room.tell("on", clip="", **fields)
    room.tell("off", clip="", end=9.0, reason="quiet")
    room.keeper.publish(Published(result(8), b""))
    assert room.reads == []


def test_what_is_not_in_memory_any_more_is_counted() -> None:
    room = Room()
    room.tell("on", end=5.6, reason="utterance")
    room.futures[0].set_exception(SourceError("desk: nothing of the sound is kept any more"))
    room.tell("on", end=5.6, reason="utterance", classifier="gone")
    assert room.archive.stats().lost["sound"] == 2


def test_a_label_that_is_on_is_not_kept_when_its_clips_are_wanted_no_more() -> None:
    info = ClassifierInfo("emotion", "m", ("happy", "calm"), (), "speech", "sliding", 3.0, 1.0, "off", ("calm",))
    room = Room()
    room.tell("on", score=0.8)
    room.keeper.change(SETTINGS, {"emotion": info})
    assert room.futures[0].cancelled()
    room.tell("off", clip="", end=9.0, reason="quiet")
    assert room.archive.clips == []


def test_a_label_goes_on_being_heard_over_a_change_that_does_not_concern_it() -> None:
    info = ClassifierInfo("emotion", "m", ("happy",), (), "speech", "sliding", 3.0, 1.0, "off", ("happy",))
    room = Room()
    room.tell("on", score=0.8)
    room.keeper.change(Clips(pre_roll=2.0), {"emotion": info})
    room.tell("off", end=9.0, reason="quiet")
    assert room.reads[1:] == [(3000, 9500)]
