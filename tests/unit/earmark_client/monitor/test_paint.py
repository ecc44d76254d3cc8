"""The screen, rendered by rich without a terminal."""

from __future__ import annotations

import io
import re
from datetime import UTC
from pathlib import Path

import pytest
from rich.console import Console

from earmark.protocol.events import ClassifierInfo, Gap, Hello, Level, SourceInfo
from earmark_client.monitor.paint import ASCII, KEYS, View, screen
from earmark_client.sessions.session import Session
from tests.unit.earmark_client.sessions.test_session import BEGIN, heard, label, result, source, utc

SIZES = [(80, 24), (200, 50), (80, 10), (40, 24), (20, 5), (5, 2), (1, 1)]


def drawn(session: Session, width: int = 80, height: int = 24, colour: bool = False, **more: object) -> str:
    """The screen as text."""
    file = io.StringIO()
    console = Console(
        file=file,
        width=width,
        height=height,
        no_color=not colour,
        force_terminal=colour,
        color_system="standard" if colour else None,
    )
    view = View(BEGIN + 10, "127.0.0.1:8765", zone=UTC, **more)  # type: ignore[arg-type]  # fields by their names
    for each in screen(session, view, width, height):
        console.print(each, no_wrap=True, overflow="crop")
    return file.getvalue()


def many(sources: int) -> Session:
    names = tuple(f"room {number}" for number in range(sources))
    emotion = ClassifierInfo("emotion", "earmark/emotion", ("happy", "sad"), names, "speech", "sliding", 3.0, 1.0)
    return heard(greeting=Hello("1.0", "e", 0, 1, tuple(SourceInfo(name, "listening") for name in names), (emotion,)))


def test_the_current_label_its_age_and_how_sure_it_is_are_there() -> None:
    shown = drawn(heard(result(6, happy=0.8, sad=0.1), label(6, "on", start=4)))

    assert "H A P P Y" in shown
    assert "for 6.0 s" in shown
    assert "clear: happy 0.80, then sad 0.10" in shown


def test_each_bar_has_its_threshold_on_it() -> None:
    session = heard(result(8, happy=0.5, sad=0.25))
    session.thresholds = {"emotion": {"happy": 0.75}}

    lines = {
        found[1]: found[2] for found in re.finditer(r"^  [HS] (happy|sad  ) ([█ │▉-▏]+) 0\.", drawn(session), re.M)
    }

    bar = lines["happy"]
    assert bar.index("│") / len(bar) == pytest.approx(0.75, abs=0.03)
    assert bar.count("█") / len(bar) == pytest.approx(0.5, abs=0.03)
    assert "│" not in lines["sad  "]
    assert "on at 0.75" in drawn(session)


def test_the_strip_is_read_without_colour() -> None:
    strip = re.search(
        r"last 1 min ( *)(.*)$", drawn(heard(label(2, "on"), label(5, "off", start=2), source(8, "lost"))), re.M
    )

    assert strip is not None
    assert re.fullmatch(r"·+H+·+/+", strip[2].strip())


def test_shares_are_those_of_the_time_that_was_listened_to() -> None:
    shown = drawn(heard(label(0, "on"), label(4, "off", start=0), source(8, "lost")))

    assert "happy 50 % (4.0 s), no label 50 %, not heard 2.0 s" in shown


def test_what_is_wrong_is_said() -> None:
    shown = drawn(
        heard(source(2, "lost"), Gap(3, 9, "slow"), result(5, sad=0.9)), link="gone since 07:31:05", linked=False
    )

    for said in ("gone since 07:31:05", "lost", "7 events missed in 1 gap"):
        assert said in shown


def test_the_level_of_a_source_is_shown() -> None:
    level = Level("desk", utc(9), -30.0, -20.0, -60.0, {})

    assert "█████·····  -30 dB" in drawn(heard(level))


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("sources", [0, 1, 2, 3, 8, 20])
def test_the_screen_is_exactly_as_large_as_the_terminal(width: int, height: int, sources: int) -> None:
    view = View(BEGIN + 10, "127.0.0.1:8765", zone=UTC)

    lines = screen(many(sources), view, width, height)

    assert [line.cell_len for line in lines] == [width] * height


def test_eight_sources_fit_in_80_by_24() -> None:
    shown = drawn(many(8))

    assert [name for number in range(8) if (name := f"room {number}") not in shown] == []


def test_sources_that_do_not_fit_are_counted() -> None:
    assert "and 7 more; a larger window shows them" in drawn(many(9), height=6)


def test_two_sources_are_side_by_side_where_there_is_room() -> None:
    assert re.search("room 0.*room 1", drawn(many(2), width=200))
    assert not re.search("room 0.*room 1", drawn(many(2), width=80))


def test_colours_come_only_where_they_are_wanted() -> None:
    session = heard(label(2, "on"))

    assert "\x1b[" in drawn(session, colour=True)
    assert "\x1b[" not in drawn(session)


def test_a_terminal_without_unicode_gets_ascii() -> None:
    session = heard(result(6, happy=0.8, sad=0.1), label(6, "on", start=4))
    session.thresholds = {"emotion": {"happy": 0.5}}

    assert drawn(session, signs=ASCII).isascii()


def test_a_label_cannot_steer_the_terminal() -> None:
    name = "ha\x1b]0;x\x07\n\x1b[2J"

    shown = drawn(heard(label(2, "on", name), result(3, **{name: 0.9}), label(9, "off", name)))

    assert not {"\x1b", "\x07"} & set(shown)


def test_the_keys_a_note_and_the_help_are_shown() -> None:
    assert "q quit" in drawn(heard())
    assert "note:  the doorbell_" in drawn(heard(), note="the doorbell")
    assert "the display is paused" in drawn(heard(), held=True)
    assert "A share is the part of the time" in drawn(heard(), help=True)


def test_the_help_fits_a_terminal_of_80_columns() -> None:
    assert "…" not in drawn(heard(), width=80, help=True)


@pytest.mark.parametrize("document", ["README.md", "docs/tutorial-emotions.md"])
def test_the_capture_in_the_documents_is_of_this_screen(document: str) -> None:
    text = (Path(__file__).parents[4] / document).read_text(encoding="utf-8")
    found = re.search(r"earmark monitor --classifiers emotion\n(.*?)```", text, re.DOTALL)

    assert found is not None
    top, *body = found[1].splitlines()
    assert re.fullmatch(r" Earmark monitor   127\.0\.0\.1:8765 +connected  \d\d:\d\d:\d\d  ([\d:]+|[\d.]+ s)", top)
    assert body[-1] == f" {KEYS}"
    assert len([line for line in body if re.fullmatch(r" [ ●][A-Z] \w+ .* 0\.\d\d .* share +<?\d+ %", line)]) == 8
    assert len(body) == 23
    assert max(map(len, [top, *body])) <= 80
