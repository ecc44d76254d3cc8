from __future__ import annotations

from pathlib import Path

import pytest

from earmark.errors import JournalError
from earmark.journal.folder import Folder


def test_the_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    Folder(tmp_path / "a" / "b").close()
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "a" / "b" / "journal.lock").stat().st_mode & 0o777 == 0o600


def test_a_folder_serves_one_daemon_at_a_time(tmp_path: Path) -> None:
    first = Folder(tmp_path)
    with pytest.raises(JournalError, match="is in use by another daemon; give this one"):
        Folder(tmp_path)
    first.close()
    Folder(tmp_path).close()


def test_a_folder_that_cannot_be_made_is_told_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(JournalError, match=r"file/x cannot be written: Not a directory; make it writable, or set"):
        Folder(tmp_path / "file" / "x")


def test_what_is_set_aside_takes_the_place_of_what_was_set_aside_before(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    for content in ("first", "second"):
        folder.database.write_text(content)
        Path(f"{folder.database}-wal").write_text(content)
        assert folder.set_aside(folder.database) == tmp_path / "journal.db.damaged"
    folder.close()
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {
        "journal.db.damaged": "second",
        "journal.db.damaged-wal": "second",
        "journal.lock": "",
    }


def test_a_folder_in_the_place_of_a_file_is_set_aside_too(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    for _ in range(2):
        (folder.database / "inner").mkdir(parents=True)
        folder.set_aside(folder.database)
    folder.close()
    assert (tmp_path / "journal.db.damaged" / "inner").is_dir()
    assert not folder.database.exists()
