from __future__ import annotations

import msgspec
import pytest

from earmark.protocol.events import Error, Event, Label, Loss, Source
from earmark_client import table
from earmark_client.event_table import row
from tests.serving import TIME, command, lasting, result

ROWS: list[tuple[Event, tuple[str, ...]]] = [
    (command(1), (TIME, "desk", "commands", "stop", "0.97", "1.00", "1.60")),
    (lasting("e-1", "happy"), (TIME, "desk", "emotion", "happy on", "0.70", "1.00", "")),
    (
        Label(2, TIME, "desk", "emotion", "e-1", "happy", "off", 1.0, end=2.5),
        (TIME, "desk", "emotion", "happy off", "", "1.00", "2.50"),
    ),
    (result(3), (TIME, "desk", "commands", "(stop)", "0.81", "1.00", "2.00")),
    (msgspec.structs.replace(result(3), result=()), (TIME, "desk", "commands", "", "", "1.00", "2.00")),
    (Source(4, TIME, "desk", "lost"), (TIME, "desk", "", "lost", "", "", "")),
    (Loss(5, TIME, "desk", 1.0, 2.0, "device"), (TIME, "desk", "", "lost: device", "", "1.00", "2.00")),
    (Error("disk full"), ("", "", "", "error", "", "", "")),
]


@pytest.mark.parametrize(("event", "cells"), ROWS)
def test_an_event_is_a_row(event: Event, cells: tuple[str, ...]) -> None:
    assert row(event) == cells


def test_a_table_shows_itself_as_text_and_as_html() -> None:
    shown = table([command(1, "stop & <go>")])
    assert repr(shown).splitlines() == [
        "time                      source  classifier  what         score  from  to",
        f"{TIME}  desk    commands    stop & <go>  0.97   1.00  1.60",
    ]
    assert "<td>stop &amp; &lt;go&gt;</td>" in shown._repr_html_()
    assert shown == [command(1, "stop & <go>")]
