"""Pages out of the database, on any thread.

Each opens the file for itself, so one that is begun anew meanwhile is found.
"""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from datetime import datetime
from itertools import islice, pairwise
from pathlib import Path

from earmark.broadcast.sink import Published
from earmark.history.kept import HistoryQuery, Page
from earmark.history.pages import matches
from earmark.journal.rows import Kind, chosen, milliseconds, published

MOST_LOOKED_AT = 20_000  # rows for one page: some 50 ms
MOST_KINDS = 1000  # that are merged from the index; with more, all rows are looked at
END = 2**62  # higher than any number
BUSY_SECONDS = 5.0

Candidate = tuple[int, Published | None]
"""The number of a row, and its event, or None where the columns of the row tell already that it is not wanted."""


def after(path: Path, seq: int, limit: int, pending: Sequence[Published]) -> list[Published]:
    """Return the first events above `seq`. `pending` are the newest ones, some of which may not be in the file yet.

    Raises sqlite3.Error.
    """
    query = HistoryQuery(since=seq, limit=limit)
    with _connected(path) as connection:
        connection.execute("BEGIN")  # one state of the file for all that follows
        found = _with_pending(_scan(connection, None, seq, END, query), _newest(connection), query, pending)
        return list(islice((event for _, event in found if event is not None), limit))


def page(path: Path, query: HistoryQuery, pending: Sequence[Published]) -> Page:
    """Return the page that `query` asks for. `pending` are the newest events, some of which may not be stored yet.

    Raises sqlite3.Error.
    """
    with _connected(path) as connection:
        connection.execute("BEGIN")
        low = query.since if query.since is not None else 0
        high = query.before if query.before is not None else END
        low, high = _bounds(connection, query, low, high)
        known = {Kind(*words): number for number, *words in connection.execute("SELECT * FROM kind")}
        kinds = [known[kind] for kind in chosen(query.filter, known)]
        rows: Iterator[Candidate]
        if not kinds or low >= high - 1:
            rows = iter(())
        elif len(kinds) == len(known) or len(kinds) > MOST_KINDS:
            rows = _scan(connection, set(kinds), low, high, query)
        else:
            rows = _merged(connection, kinds, low, high, query)
        return only(_with_pending(rows, _newest(connection), query, pending), query)


def only(candidates: Iterable[Candidate], query: HistoryQuery) -> Page:
    """Return the page of the candidates, which come in the order of the query."""
    found: list[Published] = []
    last = 0
    for looked, (seq, event) in enumerate(candidates):
        if looked == MOST_LOOKED_AT or len(found) == query.limit:
            return Page(tuple(found), last)
        last = seq
        if event is not None and matches(query, event):
            found.append(event)
    return Page(tuple(found), None)


def _connected(path: Path) -> closing[sqlite3.Connection]:
    uri = f"{path.absolute().as_uri()}?mode=ro"
    return closing(sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None))


def _newest(connection: sqlite3.Connection) -> int:
    ((newest,),) = connection.execute("SELECT max(seq) FROM event").fetchall()
    return int(newest or 0)


def _with_pending(
    rows: Iterator[Candidate], newest: int, query: HistoryQuery, pending: Sequence[Published]
) -> Iterator[Candidate]:
    """Yield the rows and, where they belong, the events that are newer than all that is stored."""
    since, before = query.since, query.before
    newer = [
        (each.event.seq, each)
        for each in pending
        if each.event.seq > max(newest, since or 0) and (before is None or each.event.seq < before)
    ]
    if since is not None:
        yield from rows
        yield from newer
    else:
        yield from reversed(newer)
        yield from rows


def _scan(
    connection: sqlite3.Connection, kinds: set[int] | None, low: int, high: int, query: HistoryQuery
) -> Iterator[Candidate]:
    """Yield all rows between the numbers, in the order of the query. None for `kinds` stands for all of them."""
    direction = "ASC" if query.since is not None else "DESC"
    sql = f"SELECT seq, kind, score, body FROM event WHERE seq > ? AND seq < ? ORDER BY seq {direction}"
    return _candidates(connection.execute(sql, (low, high)), kinds, query)


def _merged(
    connection: sqlite3.Connection, kinds: Sequence[int], low: int, high: int, query: HistoryQuery
) -> Iterator[Candidate]:
    """Yield the rows of these kinds, each of which the index has in order."""
    descending = query.since is None
    sql = (
        "SELECT seq FROM event INDEXED BY event_of_kind WHERE kind = ? AND seq > ? AND seq < ? "
        f"ORDER BY seq {'DESC' if descending else 'ASC'}"
    )
    numbers = heapq.merge(*(_numbers(connection.execute(sql, (kind, low, high))) for kind in kinds), reverse=descending)
    one = "SELECT seq, kind, score, body FROM event WHERE seq = ?"
    return _candidates((row for seq in numbers for row in connection.execute(one, (seq,))), None, query)


def _numbers(rows: Iterable[tuple[int]]) -> Iterator[int]:
    return (seq for (seq,) in rows)


def _candidates(
    rows: Iterable[tuple[int, int, float | None, bytes]], kinds: set[int] | None, query: HistoryQuery
) -> Iterator[Candidate]:
    least = query.filter.min_score
    for seq, kind, score, body in rows:
        too_low = least is not None and score is not None and score < least
        wanted = not too_low and (kinds is None or kind in kinds)
        yield seq, published(body, score) if wanted else None


def _bounds(connection: sqlite3.Connection, query: HistoryQuery, low: int, high: int) -> tuple[int, int]:
    """Return the numbers between which all events lie that the times of the query allow; some of them may not."""
    if query.from_time is None and query.to_time is None:
        return low, high
    stretches = [first for (first,) in connection.execute("SELECT first FROM stretch ORDER BY first")]
    found: list[tuple[int, int]] = []
    for first, after in pairwise([*stretches, END]):
        begin = first if query.from_time is None else _search(connection, first, after, _ceiling(query.from_time))
        end = after if query.to_time is None else _search(connection, first, after, _ceiling(query.to_time))
        if begin < end:
            found.append((begin, end))
    if not found:
        return low, low
    return max(low, min(begin for begin, _ in found) - 1), min(high, max(end for _, end in found))


def _ceiling(moment: datetime) -> int:
    """Return the first whole millisecond that is not before the moment."""
    return milliseconds(moment) + bool(moment.microsecond % 1000)


def _search(connection: sqlite3.Connection, first: int, after: int, time: int) -> int:
    """Return the first number of a stretch with this time or a later one, or `after`. Halves the numbers, not rows."""
    sql = "SELECT seq, time FROM event WHERE seq >= ? AND seq < ? ORDER BY seq LIMIT 1"
    last = connection.execute(
        "SELECT seq FROM event WHERE seq >= ? AND seq < ? ORDER BY seq DESC LIMIT 1", (first, after)
    ).fetchone()
    if last is None:
        return after
    low, high = first, int(last[0]) + 1  # the answer is in [low, high]; high stands for "none"
    while low < high:
        middle = (low + high) // 2
        row = connection.execute(sql, (middle, high)).fetchone()
        if row is None or row[1] >= time:
            high = middle
        else:
            low = int(row[0]) + 1
    return low if low <= int(last[0]) else after
