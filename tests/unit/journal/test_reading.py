"""Pages of the journal are those that a list of the same events in memory has."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.broadcast.sink import Published
from earmark.broadcast.subscription import Subscription
from earmark.history import pages
from earmark.history.kept import HistoryQuery, Page
from earmark.journal import reading
from earmark.journal.rows import row
from earmark.journal.store import Store
from tests.journalled import label, loss, result, source, when

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # where no disk is waited for


@contextmanager
def stored(events: Sequence[Published]) -> Iterator[Path]:
    """A journal with these events."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        path = Path(folder) / "journal.db"
        store = Store(path)
        store.add([found for each in events if (found := row(each.text, each.on_score)) is not None])
        yield path
        store.close()


def numbers(page: Page) -> list[int]:
    return [each.event.seq for each in page.events]


def every_page(path: Path, query: HistoryQuery, pending: Sequence[Published]) -> list[int]:
    """The numbers on this page and on all that follow it."""
    found: list[int] = []
    while True:
        page = reading.page(path, query, pending)
        found += numbers(page)
        if page.next is None:
            return found
        query = replace(query, since=page.next) if query.since is not None else replace(query, before=page.next)


names = st.frozensets(st.sampled_from(["happy", "sad", "desk", "hall", "emotion", "words"]), max_size=2)
filters = st.builds(
    Subscription,
    types=st.frozensets(st.sampled_from(["result", "suppressed", "label", "source", "loss"]), min_size=1),
    sources=st.frozensets(st.sampled_from(["desk", "hall"]), max_size=1),
    classifiers=st.frozensets(st.sampled_from(["emotion", "words"]), max_size=1),
    labels=st.frozensets(st.sampled_from(["happy", "sad", "none"]), max_size=2),
    min_score=st.none() | st.sampled_from([0.3, 0.7, 0.8]),
    shape=st.sampled_from(["event", "event", "api"]),
)
seconds = st.none() | st.integers(-1, 45).map(float) | st.floats(0, 45)
queries = st.builds(
    HistoryQuery,
    filter=filters,
    from_time=seconds.map(lambda each: None if each is None else when(each)),
    to_time=seconds.map(lambda each: None if each is None else when(each)),
    since=st.none() | st.integers(0, 45),
    before=st.none() | st.integers(0, 45),
    limit=st.integers(1, 12),
)
makers = st.sampled_from(
    [
        lambda seq: result(seq),
        lambda seq: result(seq, "sad", 0.4, source="hall"),
        lambda seq: result(seq, classifier="words"),
        lambda seq: result(seq, suppressed="refractory"),
        lambda seq: result(seq, at=seq - 12),  # the clock was set back
        lambda seq: label(seq),
        lambda seq: label(seq, "sad", "off", 0.7),
        lambda seq: source(seq),
        lambda seq: loss(seq),
    ]
)


@st.composite
def histories(draw: st.DrawFn) -> list[Published]:
    """Events with numbers of which some are missing."""
    wanted = sorted(draw(st.sets(st.integers(1, 40), max_size=25)))
    return [draw(makers)(seq) for seq in wanted]


@given(histories(), queries, st.data())
def test_pages_have_the_events_that_a_list_of_them_has(
    events: list[Published], query: HistoryQuery, data: st.DataObject
) -> None:
    # some are in the database, some only in the tail, and some in both
    stored_up_to = data.draw(st.integers(0, len(events)))
    pending_from = data.draw(st.integers(0, stored_up_to))
    with stored(events[:stored_up_to]) as path:
        first = reading.page(path, query, events[pending_from:])
        assert first.events == pages.page(events, query).events
        everything = pages.page(events, replace(query, limit=1000))
        assert every_page(path, query, events[pending_from:]) == numbers(everything)


@given(histories(), st.integers(0, 45), st.integers(1, 12), st.data())
def test_what_follows_a_number_is_whole_across_database_and_tail(
    events: list[Published], seq: int, limit: int, data: st.DataObject
) -> None:
    stored_up_to = data.draw(st.integers(0, len(events)))
    pending_from = data.draw(st.integers(0, stored_up_to))
    with stored(events[:stored_up_to]) as path:
        found = reading.after(path, seq, limit, events[pending_from:])
    assert found == [each for each in events if each.event.seq > seq][:limit]


def test_a_page_looks_at_a_bounded_number_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_LOOKED_AT", 10)
    query = HistoryQuery(Subscription(min_score=0.9), limit=5)
    with stored([result(1, score=0.95), *(result(seq) for seq in range(2, 26))]) as path:
        first = reading.page(path, query, [])
        assert (numbers(first), first.next) == ([], 16)
        second = reading.page(path, replace(query, before=16), [])
        assert (numbers(second), second.next) == ([], 6)
        third = reading.page(path, replace(query, before=6), [])
        assert (numbers(third), third.next) == ([1], None)


def test_a_rare_label_is_found_without_looking_at_the_rows_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_LOOKED_AT", 10)
    with stored([result(1, "scream"), *(result(seq) for seq in range(2, 100))]) as path:
        found = reading.page(path, HistoryQuery(Subscription(labels=frozenset({"scream"}))), [])
    assert (numbers(found), found.next) == ([1], None)


def test_with_very_many_kinds_all_rows_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_KINDS", 3)
    events = [result(seq, f"label {seq % 8}") for seq in range(1, 50)]
    wanted = frozenset(f"label {number}" for number in range(5))
    query = HistoryQuery(Subscription(labels=wanted), limit=1000)
    with stored(events) as path:
        assert reading.page(path, query, []).events == pages.page(events, query).events
