"""The page about a session: it stands alone, tells what is missing, and runs nothing that a label says."""

from __future__ import annotations

import re
from datetime import UTC
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.protocol.events import Gap, Loss
from earmark_client.report.page import Facts, page
from earmark_client.report.svg import joined, ticks
from earmark_client.sessions.session import Session
from earmark_client.sessions.stretches import Stretch
from earmark_client.sessions.words import NOT_A_MEASUREMENT
from tests.unit.earmark_client.sessions.test_session import BEGIN, heard, label, result, source, utc

HOSTILE = "</title><script>alert(1)</script>\"onload='x'&amp;"
VOID = {"meta"}


class Reader(HTMLParser):
    """The elements, their attributes and the text of a page, which must be balanced."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(session: Session, end: float = 20) -> Reader:
    reader = Reader()
    reader.feed(page(session, BEGIN + end, Facts("127.0.0.1:8765", UTC)))
    reader.close()
    assert reader.open == []
    return reader


def test_the_page_says_that_it_is_no_measurement() -> None:
    assert NOT_A_MEASUREMENT in read(heard(label(1, "on"))).text
    assert NOT_A_MEASUREMENT in read(Session(BEGIN)).text


def test_the_page_needs_nothing_outside_itself_and_no_script() -> None:
    reader = read(heard(label(1, "on"), label(4, "off", start=1), source(5, "lost")))

    assert not {"script", "link", "img", "iframe", "object", "image", "use"} & set(reader.found)
    assert [value for name, value in reader.attributes if name in ("href", "src")] == []
    assert not re.search(r"url\((?!#)|@import", page(heard(), BEGIN + 1, Facts()))


def test_shares_times_and_transitions_are_told() -> None:
    text = read(heard(label(0, "on"), label(5, "off", start=0), label(5, "on", "sad"), label(10, "off", "sad", 5))).text

    assert "Earmark listened for 20.0 s. A label was on for 50 % of that time" in text
    assert re.search(r"happy25 %5\.0 s1", text)
    assert "What followed what" in text


@pytest.mark.parametrize("place", ["label", "source", "note", "cause", "daemon"])
def test_a_hostile_name_is_text_wherever_it_comes_from(place: str) -> None:
    name = HOSTILE if place == "label" else "happy"
    session = heard(label(1, "on", name), label(3, "on", "sad"), label(4, "off", "sad", 3), label(5, "on", name))
    if place == "source":
        session.timelines["desk", "emotion"].source = HOSTILE
        session.timelines["desk", "emotion"].classifier = HOSTILE
        session.timelines["desk", "emotion"].model = HOSTILE
    session.mark(BEGIN + 2, HOSTILE if place == "note" else "")
    if place == "cause":
        session.timelines["desk", "emotion"].opens_hole(BEGIN + 6, HOSTILE)
    html = page(session, BEGIN + 9, Facts(HOSTILE if place == "daemon" else "", UTC))
    reader = Reader()
    reader.feed(html)

    assert "script" not in reader.found
    assert [name for name, _ in reader.attributes if name.startswith("on")] == []
    assert "<script>alert(1)</script>" in reader.text  # as text
    assert "<script" not in html


@given(st.text(max_size=30), st.text(max_size=30))
def test_no_label_and_no_note_makes_an_element(name: str, note: str) -> None:
    session, plain = (heard(label(1, "on", each), label(2, "off", each, 1)) for each in (name or "x", "plain"))
    session.mark(BEGIN + 1, note)
    plain.mark(BEGIN + 1, "plain")

    assert read(session).found == read(plain).found


def test_what_is_missing_is_hatched_and_listed_with_its_reason() -> None:
    lost = Loss(1, utc(8), "desk", 6, 8, "overflow", start_time=utc(6), end_time=utc(8))
    session = heard(source(2, "lost"), source(4, "listening"), lost, Gap(3, 9, "slow"), result(12, happy=0.9))

    reader = read(session)

    assert ("fill", "url(#hatch)") in reader.attributes
    for told in ("not heard: lost", "sound was lost: overflow", "events were missed"):
        assert told in reader.text
    assert "Nothing: Earmark listened all the time" in read(heard()).text


def test_a_mark_has_its_number_its_note_and_what_was_on() -> None:
    session = heard(label(1, "on"))
    session.mark(BEGIN + 3, "the doorbell")

    assert re.search(r"107:31:03the doorbelldesk emotion: happy", read(session).text)


def test_the_axis_has_round_times_and_not_too_many() -> None:
    assert [shown for _, shown in ticks(BEGIN, BEGIN + 20, UTC)][:3] == ["07:31:00", "07:31:05", "07:31:10"]
    for length in (0.5, 7, 100, 3600, 86400, 30 * 86400, 900 * 86400):
        assert len(ticks(BEGIN, BEGIN + length, UTC)) <= 11


def test_stretches_that_would_be_drawn_as_one_are_one() -> None:
    many = [Stretch(at, at + 0.1, "happy") for at in range(5)]

    assert joined(many, 2) == [Stretch(0, 4.1, "happy")]
    assert joined(many, 0.5) == many
