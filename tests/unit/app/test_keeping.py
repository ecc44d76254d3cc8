from __future__ import annotations

import logging
from pathlib import Path

import pytest

from earmark.app import keeping
from earmark.config import settings as config


@pytest.mark.parametrize("journal", [True, config.Journal()])
def test_by_default_a_journal_is_kept_in_the_state_folder(journal: config.Journal | bool, tmp_path: Path) -> None:
    with keeping.journal(config.Config(journal=journal), {"STATE_DIRECTORY": str(tmp_path / "state")}) as kept:
        assert kept is not None
        assert kept.path == tmp_path / "state"
    assert (tmp_path / "state" / "journal.db").is_file()


def test_a_journal_is_kept_where_the_configuration_says(tmp_path: Path) -> None:
    settings = config.Config(journal=config.Journal(path=str(tmp_path / "here")))
    with keeping.journal(settings, {"STATE_DIRECTORY": str(tmp_path / "state")}) as kept:
        assert kept is not None
        assert kept.path == tmp_path / "here"
    assert not (tmp_path / "state").exists()


def test_without_a_journal_nothing_is_written(tmp_path: Path) -> None:
    with keeping.journal(config.Config(journal=False), {"STATE_DIRECTORY": str(tmp_path / "state")}) as kept:
        assert kept is None
    assert not (tmp_path / "state").exists()


def test_a_journal_that_cannot_be_kept_is_told_once_with_its_folder_and_the_remedy(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    with keeping.journal(config.Config(), {"STATE_DIRECTORY": str(tmp_path / "file")}) as kept:
        assert kept is None
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (
            logging.WARNING,
            f"no journal is kept: {tmp_path}/file cannot be written: File exists; make it writable, or set "
            "journal.path to another folder",
        )
    ]
