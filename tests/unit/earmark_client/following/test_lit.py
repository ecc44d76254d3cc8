from __future__ import annotations

from earmark.protocol.events import Label
from earmark_client.following.lit import Lit

TIME = "2026-11-22T07:31:05.120Z"


def test_what_is_on_is_told_once_and_neither_what_went_off_nor_what_has_an_end() -> None:
    lit, on = Lit(), Label(1, TIME, "desk", "emotion", "e-1", "happy", "on", 1.0)
    lit.take(on)
    lit.take(Label(2, TIME, "desk", "emotion", "e-2", "sad", "on", 1.0))
    lit.take(Label(3, TIME, "desk", "emotion", "e-2", "sad", "off", 1.0, end=2.0))
    lit.take(Label(4, TIME, "desk", "commands", "e-4", "stop", "on", 1.0, end=1.6))
    assert lit.forget() == [on]
    assert lit.forget() == []
