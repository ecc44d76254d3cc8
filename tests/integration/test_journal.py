"""The journal with its threads and its files: restarts, power cuts, damage, and a disk that is full."""

from __future__ import annotations

import asyncio
import logging
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from earmark.broadcast.subscription import Subscription
from earmark.errors import JournalError
from earmark.history.kept import HistoryQuery
from earmark.journal.journal import Journal
from earmark.journal.opening import LEFT_OUT
from tests.journalled import result, when

DEADLINE = 60.0  # seconds; the machine may be busy


def opened(path: Path, **options: object) -> Journal:
    """A journal whose events are never too old."""
    return Journal(path, utc=lambda: when(0), retry=0.05, **options)  # type: ignore[arg-type]


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not holds():
            await asyncio.sleep(0.01)


async def numbers(journal: Journal, after: int = 0) -> list[int]:
    return [each.event.seq for each in await journal.after(after, 100_000)]


def publish(journal: Journal, first: int, last: int) -> None:
    for seq in range(first, last + 1):
        journal.publish(result(seq))


def test_an_event_can_be_had_as_soon_as_it_is_published_and_also_when_it_is_written(tmp_path: Path) -> None:
    async def go() -> None:
        with opened(tmp_path) as journal:
            assert (journal.newest, journal.oldest) == (0, 1)
            publish(journal, 1, 3)
            assert (journal.newest, journal.oldest) == (3, 1)
            assert await numbers(journal) == [1, 2, 3]
            await until(lambda: journal.stats().waiting == 0)
            assert await numbers(journal) == [1, 2, 3]
            page = await journal.search(HistoryQuery(Subscription(labels=frozenset({"happy"})), limit=2))
            assert ([each.event.seq for each in page.events], page.next) == ([3, 2], 2)
            assert journal.stats().events == 3
            assert journal.stats().state == "ok"

    asyncio.run(go())


def test_numbers_and_their_name_go_on_over_a_restart(tmp_path: Path) -> None:
    async def go() -> None:
        with opened(tmp_path) as first:
            publish(first, 1, 10)
        with opened(tmp_path) as second:
            assert (second.epoch, second.newest, second.oldest) == (first.epoch, 10, 1)
            publish(second, 11, 12)
            assert await numbers(second, 8) == [9, 10, 11, 12]

    asyncio.run(go())


def test_readers_see_every_event_once_and_in_order_while_it_is_written(tmp_path: Path) -> None:
    async def go() -> None:
        with opened(tmp_path) as journal:
            for last in range(100, 6001, 100):
                publish(journal, last - 99, last)
                assert await numbers(journal) == list(range(1, last + 1))

    asyncio.run(go())


def test_old_events_are_deleted_while_the_daemon_runs(tmp_path: Path) -> None:
    async def go() -> None:
        now = when(0)
        with Journal(tmp_path, max_age=timedelta(seconds=60), utc=lambda: now) as journal:
            publish(journal, 1, 100)
            await until(lambda: journal.stats().waiting == 0)
            now = when(130)
            await until(lambda: journal.oldest == 70)
            assert await numbers(journal) == list(range(70, 101))
        with Journal(tmp_path, max_age=timedelta(seconds=60), utc=lambda: when(1000)) as journal:
            await until(lambda: journal.oldest == 101)
            assert journal.newest == 100

    asyncio.run(go())


def test_all_files_together_stay_as_small_as_they_should_be(tmp_path: Path) -> None:
    async def go() -> None:
        with opened(tmp_path, max_bytes=16_000_000) as journal:
            for last in range(2000, 60_001, 2000):
                publish(journal, last - 1999, last)
                await until(lambda: journal.stats().waiting == 0)
            assert journal.stats().lost == 0
            assert 1 < journal.oldest < 60_000
            await until(lambda: sum(file.stat().st_size for file in tmp_path.iterdir()) <= 16_000_000)
            oldest = journal.oldest
            found = await numbers(journal)
            assert found == list(range(found[0], 60_001))
            assert oldest <= found[0] <= journal.oldest

    asyncio.run(go())


def test_after_a_power_cut_no_number_is_given_again(tmp_path: Path) -> None:
    async def go() -> None:
        with opened(tmp_path, boot=lambda: b"a" * 16) as journal:
            publish(journal, 1, 10)
            await until(lambda: journal.stats().waiting == 0)
            for file in tmp_path.iterdir():  # as the disk has it when the power goes
                if file.is_file():
                    (tmp_path / "cut").mkdir(exist_ok=True)
                    shutil.copy(file, tmp_path / "cut")
        with opened(tmp_path / "cut", boot=lambda: b"b" * 16) as journal:
            assert journal.newest == 10 + LEFT_OUT
            publish(journal, journal.newest + 1, journal.newest + 1)
            assert await numbers(journal, 8) == [9, 10, 11 + LEFT_OUT]

    asyncio.run(go())


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    async def go() -> None:
        with opened(tmp_path), pytest.raises(JournalError, match="in use by another daemon"), opened(tmp_path):
            pass

    asyncio.run(go())


def garbage(path: Path) -> None:
    path.write_bytes(b"garbage!" * 2000)


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2 + 3])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def folder(path: Path) -> None:
    path.unlink()
    (path / "something").mkdir(parents=True)


def another_version(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(60 if path.suffix == ".db" else 8)
        file.write(b"\0\0\0\7" if path.suffix == ".db" else b"\7")


@pytest.mark.parametrize("harm", [garbage, cut_off, folder, another_version])
def test_a_damaged_database_is_set_aside_and_the_numbering_goes_on(
    tmp_path: Path, harm: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    async def go() -> None:
        with opened(tmp_path) as first:
            publish(first, 1, 3000)
        harm(tmp_path / "journal.db")
        with opened(tmp_path) as second:
            assert (second.epoch, second.newest) == (first.epoch, 3000)
            publish(second, 3001, 3002)
            await until(lambda: second.stats().waiting == 0)
            assert await numbers(second) == [3001, 3002]
            assert second.oldest == 3001

    asyncio.run(go())
    assert (tmp_path / "journal.db.damaged").exists()
    assert "is damaged: " in caplog.text
    assert "it was renamed to" in caplog.text


@pytest.mark.parametrize("harm", [garbage, cut_off, emptied, folder, another_version])
def test_with_a_damaged_tail_the_numbering_gets_a_new_name_and_the_history_stays(
    tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    async def go() -> None:
        with opened(tmp_path) as first:
            publish(first, 1, 10)
        harm(tmp_path / "journal.tail")
        with opened(tmp_path) as second:
            assert second.epoch != first.epoch
            assert second.newest == 10
            publish(second, 11, 11)
            assert await numbers(second) == list(range(1, 12))

    asyncio.run(go())
    assert (tmp_path / "journal.tail.damaged").exists()


@pytest.mark.parametrize("missing", ["journal.db", "journal.tail"])
def test_a_file_that_somebody_deleted_is_made_again(tmp_path: Path, missing: str) -> None:
    async def go() -> None:
        with opened(tmp_path) as first:
            publish(first, 1, 10)
        (tmp_path / missing).unlink()
        with opened(tmp_path) as second:
            assert second.newest == 10
            assert (second.epoch == first.epoch) == (missing == "journal.db")

    asyncio.run(go())


def test_garbage_in_the_write_ahead_log_costs_what_was_in_it_alone(tmp_path: Path) -> None:
    async def go() -> None:
        with opened(tmp_path) as first:
            publish(first, 1, 10)
        (tmp_path / "journal.db-wal").write_bytes(b"garbage!" * 5000)
        with opened(tmp_path) as second:
            assert second.newest == 10
            publish(second, 11, 11)
            assert await numbers(second) == list(range(1, 12))

    asyncio.run(go())


def test_a_database_that_is_damaged_while_it_is_used_is_set_aside_and_told(tmp_path: Path) -> None:
    async def go() -> None:
        with opened(tmp_path) as first:
            publish(first, 1, 5000)
        told: list[str] = []
        with opened(tmp_path) as journal:
            journal.on_trouble = told.append
            path = tmp_path / "journal.db"
            with path.open("r+b") as file:  # all pages but the first
                file.seek(4096)
                file.write(b"\xff" * (path.stat().st_size - 4096))
            with pytest.raises(JournalError, match="the journal cannot be read just now"):
                await numbers(journal)
            publish(journal, 5001, 5002)
            await until(lambda: bool(told))
            publish(journal, 5003, 5003)
            await until(lambda: journal.stats().events == 3)
            assert await numbers(journal) == [5001, 5002, 5003]
            assert "is damaged" in told[0]
            assert journal.stats().state == "ok"

    asyncio.run(go())


@pytest.mark.parametrize("replaced", [False, True])
def test_a_database_that_is_removed_while_it_is_used_is_begun_anew_and_told(tmp_path: Path, replaced: bool) -> None:
    async def go() -> None:
        told: list[str] = []
        with opened(tmp_path) as journal:
            journal.on_trouble = told.append
            publish(journal, 1, 10)
            await until(lambda: journal.stats().waiting == 0)
            (tmp_path / "journal.db").unlink()
            if replaced:
                (tmp_path / "journal.db").write_text("not a database")
            publish(journal, 11, 12)
            await until(lambda: journal.stats().events == 2)
            assert await numbers(journal) == [11, 12]
            assert (journal.oldest, journal.stats().state) == (11, "ok")
        assert "was removed or replaced while the daemon uses it" in told[0]
        with opened(tmp_path) as second:
            assert (second.epoch, await numbers(second)) == (journal.epoch, [11, 12])

    asyncio.run(go())


def test_without_its_folder_the_journal_says_so_and_goes_on_when_there_is_one_again(tmp_path: Path) -> None:
    async def go() -> None:
        with opened(tmp_path / "state") as journal:
            publish(journal, 1, 3)
            await until(lambda: journal.stats().waiting == 0)
            shutil.rmtree(tmp_path / "state")
            publish(journal, 4, 4)
            await until(lambda: journal.stats().state == "error")
            assert "cannot be written" in journal.stats().detail
            with pytest.raises(JournalError, match="cannot be read just now"):
                await numbers(journal)
            (tmp_path / "state").mkdir()
            await until(lambda: journal.stats().state == "ok" and journal.stats().waiting == 0)
            assert await numbers(journal) == [4]

    asyncio.run(go())


CUT_SHORT = """
import asyncio, os, sys
from pathlib import Path
from tests.integration.test_journal import numbers, opened, publish, until
from tests.journalled import result

async def go(path, length):
    with opened(path) as journal:
        publish(journal, 1, 10)
        await until(lambda: journal.stats().waiting == 0)
        publish(journal, 11, 12)
        journal.remembered = lambda: [result(seq) for seq in range(5, 13)]
        descriptor = os.open(path / "journal.tail", os.O_WRONLY)
        if length:
            (path / "journal.tail").unlink()
        os.truncate(descriptor, length)
        publish(journal, 13, 14)
        assert await numbers(journal) == list(range(1, 15))
        journal.remembered = lambda: [result(seq) for seq in range(5, 15)]
        if not length:
            os.truncate(path / "journal.tail", 0)
        stats = journal.stats()
        assert (stats.state, stats.newest, stats.lost, journal.oldest) == ("ok", 14, 0, 1)
        await until(lambda: journal.stats().events == 14)
        return journal.epoch

path, length = Path(sys.argv[1]), int(sys.argv[2])
epoch = asyncio.run(go(path, length))
with opened(path) as again:
    assert again.newest == 14
    assert (again.epoch == epoch) == (length == 0), "the numbering has a new name if its file was deleted"
"""


@pytest.mark.parametrize("length", [0, 4096])
def test_a_tail_that_is_cut_short_while_it_is_used_does_not_end_the_daemon_and_loses_nothing_that_memory_has(
    tmp_path: Path, length: int
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CUT_SHORT, str(tmp_path), str(length)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=2 * DEADLINE,
        check=False,
    )
    assert done.returncode == 0, done.stderr  # -7 is SIGBUS
    assert "was cut short while the daemon uses it, and is whole again" in done.stderr


def test_a_tail_that_is_overwritten_while_it_is_used_costs_the_events_in_it_alone(tmp_path: Path) -> None:
    async def go() -> None:
        with opened(tmp_path) as journal:
            publish(journal, 1, 3)
            await until(lambda: journal.stats().waiting == 0)
            publish(journal, 4, 4)
            with (tmp_path / "journal.tail").open("r+b") as file:
                file.seek(4096)
                file.write(bytes(4096))
            await until(lambda: journal.stats().waiting == 0)
            publish(journal, 5, 6)
            await until(lambda: journal.stats().waiting == 0)
            assert await numbers(journal) == [1, 2, 3, 5, 6]

    asyncio.run(go())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def fill(place: Path) -> Path:
    """Take all the room of the file system with a file."""
    filler = place / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    return filler


@pytest.mark.scenario(12)
def test_with_a_full_disk_serving_goes_on_and_the_journal_resumes_when_there_is_room(
    small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)

    async def go() -> None:
        told: list[str] = []
        with opened(small_disk, tail_bytes=65536) as journal:
            journal.on_trouble = told.append
            publish(journal, 1, 10)
            await until(lambda: journal.stats().waiting == 0)
            filler = fill(small_disk)
            last = 10
            while journal.stats().state == "ok" and last < 30_000:  # the write-ahead log has some room of its own
                publish(journal, last + 1, last + 50)
                last += 50
                await asyncio.sleep(0.01)
            assert journal.stats().state == "full"
            assert "the disk is full" in journal.stats().detail
            written = journal.stats().events
            journal.remembered = lambda: [result(seq) for seq in range(last - 99, last + 1)]
            publish(journal, last + 1, last + 1000)  # more than the tail has room for
            last += 1000
            assert journal.newest == last
            assert journal.stats().lost > 0
            assert (await numbers(journal))[:10] == list(range(1, 11))  # what it has can be had
            page = await journal.search(HistoryQuery(limit=150))  # and before that, what memory has
            newest = [each.event.seq for each in page.events]
            assert newest[:100] == list(range(last, last - 100, -1))
            assert len(newest) == 150
            assert newest[100] < last - 100  # what lies between was lost
            filler.unlink()
            await until(lambda: journal.stats().state == "ok" and journal.stats().waiting == 0)
            assert journal.stats().events > written
            publish(journal, last + 1, last + 10)
            await until(lambda: journal.stats().waiting == 0)
            found = await numbers(journal)
            assert found[-10:] == list(range(last + 1, last + 11))
            assert len(found) == last + 10 - journal.stats().lost
            assert found == sorted(set(found))
        assert len(told) == 2
        assert "the disk is full; serving goes on" in told[0]
        assert "the journal can be written again; " in told[1]

    asyncio.run(go())
    assert "events are missing from the journal: " in caplog.text


@pytest.mark.scenario(12)
def test_a_daemon_that_starts_on_a_full_disk_goes_on_with_the_numbers(small_disk: Path) -> None:
    async def go() -> None:
        with opened(small_disk, tail_bytes=65536) as first:
            publish(first, 1, 10)
        filler = fill(small_disk)
        with opened(small_disk, tail_bytes=65536) as second:
            assert (second.epoch, second.newest) == (first.epoch, 10)
            publish(second, 11, 12)
            await until(lambda: second.stats().state == "full")
            with pytest.raises(JournalError, match="cannot be read just now"):  # a part would look like all there is
                await numbers(second)
            filler.unlink()
            await until(lambda: second.stats().state == "ok" and second.stats().waiting == 0)
            assert await numbers(second) == list(range(1, 13))

    asyncio.run(go())


@pytest.mark.scenario(12)
def test_without_room_for_a_first_journal_there_is_none_and_that_is_told(small_disk: Path) -> None:
    fill(small_disk)
    with pytest.raises(JournalError, match=r"disk is full|No space left"), opened(small_disk):
        pass
    assert not (small_disk / "journal.tail").exists()


def test_somebody_who_looks_into_the_database_does_not_stop_the_journal(tmp_path: Path) -> None:
    async def go() -> None:
        with opened(tmp_path) as journal:
            publish(journal, 1, 10)
            await until(lambda: journal.stats().waiting == 0)
            looking = sqlite3.connect(tmp_path / "journal.db")
            looking.execute("BEGIN")
            looking.execute("SELECT count(*) FROM event").fetchone()
            publish(journal, 11, 20)
            await until(lambda: journal.stats().waiting == 0)
            looking.close()
            assert await numbers(journal) == list(range(1, 21))

    asyncio.run(go())
