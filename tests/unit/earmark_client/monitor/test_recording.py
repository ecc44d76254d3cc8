"""The file of --record: what has a row, how it is written, and that an old file goes on."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from earmark.errors import EarmarkError
from earmark.protocol.events import Gap, Loss
from earmark_client.monitor.recording import FIELDS, Recording, Rows, as_csv, as_json, begin_row, mark_row
from earmark_client.sessions.session import Mark
from tests.unit.earmark_client.sessions.test_session import BEGIN, hello, label, result, source, utc


def test_labels_sources_losses_and_gaps_have_a_row_each() -> None:
    rows = Rows()
    events = (label(1, "on"), label(2, "off", start=1), source(3, "lost"), Loss(1, utc(4), "desk", 1, 2, "stall"))

    found = [rows.of(event, BEGIN) for event in (*events, Gap(3, 5, "slow"), hello())]

    assert [row and row["type"] for row in found] == ["label", "label", "source", "loss", "gap", None]
    assert found[0] is not None
    assert (found[0]["label"], found[0]["state"], found[0]["score"]) == ("happy", "on", 0.8)


def test_scores_are_recorded_once_in_the_time_that_was_asked_for() -> None:
    rows = Rows(every=1.0)

    found = [rows.of(result(at, happy=0.7, sad=0.2), BEGIN + at) for at in (0.0, 0.5, 1.0, 1.9, 2.0)]

    assert [row is not None for row in found] == [True, False, True, False, True]
    assert found[0] is not None
    assert (found[0]["label"], found[0]["scores"]) == ("happy", {"happy": 0.7, "sad": 0.2})


def test_a_row_is_the_same_as_csv_and_as_json() -> None:
    row = mark_row(Mark(BEGIN, 'a "note", with\na break'))

    (cells,) = csv.reader(io.StringIO(as_csv(row), newline=""))
    assert dict(zip(FIELDS, cells, strict=True))["note"] == 'a "note", with\na break'
    assert json.loads(as_json(row)) == {"time": "2026-11-22T07:31:00.000Z", "type": "mark", "note": row["note"]}
    assert "\n" not in as_json(row)


def test_a_note_is_no_formula_in_csv_and_a_negative_number_stays() -> None:
    row = {**mark_row(Mark(BEGIN, "=1+2")), "score": -0.5}
    (cells,) = csv.reader([as_csv(row)])
    shown = dict(zip(FIELDS, cells, strict=True))
    assert (shown["note"], shown["score"], json.loads(as_json(row))["note"]) == ("'=1+2", "-0.5", "=1+2")


def test_a_file_that_is_recorded_to_again_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "talk.csv"
    for note in ("one", "two"):
        with Recording(path) as recording:
            recording.add(begin_row(BEGIN, note))
            recording.add(None)

    with path.open(newline="") as file:
        assert [row["note"] for row in csv.DictReader(file)] == ["one", "two"]


def test_a_line_that_was_cut_off_does_not_spoil_the_next(tmp_path: Path) -> None:
    path = tmp_path / "talk.jsonl"
    path.write_text('{"time":"2026')

    with Recording(path) as recording:
        recording.add(begin_row(BEGIN, "here"))

    assert json.loads(path.read_text().splitlines()[1])["note"] == "here"


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("talk.txt", None, "must end in .csv or .jsonl"),
        ("talk.csv", "a,b\n1,2\n", "has other columns"),
        ("talk.jsonl", "a,b\n", "holds something else"),
        ("none/talk.csv", None, "No such file"),
    ],
)
def test_a_file_that_cannot_be_continued_is_refused(
    name: str, content: str | None, sentence: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_text(content)

    with pytest.raises(EarmarkError, match=sentence):
        Recording(path)

    assert content is None or path.read_text() == content


class FullDisk(io.StringIO):
    """A file on a disk without space."""

    def flush(self) -> None:
        raise OSError(28, "No space left on device")

    def close(self) -> None:
        """Close without writing."""


def test_a_full_disk_is_told_and_ends_the_recording(tmp_path: Path) -> None:
    path = tmp_path / "talk.jsonl"
    path.touch()
    disk = FullDisk()

    with Recording(path, lambda _: disk) as recording:
        recording.add(begin_row(BEGIN, "one"))
        recording.add(begin_row(BEGIN, "two"))

    assert recording.failure == "the recording has ended: No space left on device"
    assert "two" not in disk.getvalue()
