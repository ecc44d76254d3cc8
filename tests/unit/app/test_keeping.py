from __future__ import annotations

import logging
from pathlib import Path

import pytest

from earmark.app import keeping
from earmark.config import settings as config
from earmark.config.sources import Microphone
from earmark.journal.journal import Journal
from earmark.listening.plan import Plan, plans
from earmark.protocol.events import ClassifierInfo
from earmark.windowing.segmenter import Segmenter


@pytest.mark.parametrize("journal", [True, config.Journal()])
def test_by_default_a_journal_is_kept_in_the_state_folder(journal: config.Journal | bool, tmp_path: Path) -> None:
    with keeping.journal(config.Config(journal=journal), {"STATE_DIRECTORY": str(tmp_path / "state")}) as kept:
        assert isinstance(kept, Journal)
        assert kept.path == tmp_path / "state"
    assert (tmp_path / "state" / "journal.db").is_file()


def test_a_journal_is_kept_where_the_configuration_says(tmp_path: Path) -> None:
    settings = config.Config(journal=config.Journal(path=str(tmp_path / "here")))
    with keeping.journal(settings, {"STATE_DIRECTORY": str(tmp_path / "state")}) as kept:
        assert isinstance(kept, Journal)
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
        assert isinstance(kept, keeping.NoJournal)
        told = kept.stats()  # in /info and /metrics, so that somebody is woken
        assert (told.state, told.events) == ("error", 0)
        assert told.detail.startswith(f"none is kept until a restart: {tmp_path}/file cannot be written: ")
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (
            logging.WARNING,
            f"no journal is kept: {tmp_path}/file cannot be written: File exists; make it writable, or set "
            "journal.path to another folder",
        )
    ]


@pytest.mark.parametrize(
    ("path", "environ", "folder"),
    [
        ("", {"STATE_DIRECTORY": "/var/lib/earmark"}, "/var/lib/earmark/clips"),
        ("/srv/clips", {"STATE_DIRECTORY": "/var/lib/earmark"}, "/srv/clips"),
    ],
)
def test_clips_are_kept_in_the_state_folder_or_where_the_configuration_says(
    path: str, environ: dict[str, str], folder: str
) -> None:
    assert keeping.clips_folder(config.Clips(path=path), environ) == Path(folder)


def test_the_sentence_about_clips_names_the_folder_and_the_labels_and_there_is_none_without_clips() -> None:
    def classifier(name: str, *clips: str) -> ClassifierInfo:
        return ClassifierInfo(name, "m", clips, (), "speech", "sliding", 1.0, 1.0, "off", clips)

    assert keeping.told(Path("/srv"), [classifier("a")]) == ""
    told = keeping.told(Path("/srv"), [classifier("a", "go"), classifier("b", *map(str, range(20)))])
    assert told == (
        "the sound of what is detected is kept in /srv (a: go; b: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and others)"
    )


def test_which_clips_are_kept_is_news_once_and_so_is_their_end(tmp_path: Path) -> None:
    def chosen(*clips: str) -> dict[str, Plan]:
        classifier = config.Classifier(name="words", clips=clips)
        settings = config.Config(source=(Microphone(name="desk"),), classifier=(classifier,))
        return {plan.name: plan for plan in plans(settings)}

    in_force, settings = chosen("go"), config.Clips(path=str(tmp_path / "clips"))
    capture = Segmenter(lambda messages: None).capture
    clips = keeping.ClipKeeping(settings, {}, capture, lambda: in_force, on_trouble=pytest.fail)
    assert (clips.told, clips.archive.stats().state) == ("", "off")

    told = f"the sound of what is detected is kept in {tmp_path}/clips (words: go)"
    assert [clips.change(settings), clips.change(settings), clips.told] == [told, "", told]
    assert clips.archive.stats().state == "ok"

    in_force = chosen()
    ended = f"clips are kept no more; those in {tmp_path}/clips stay until they are too old or deleted"
    assert [clips.change(settings), clips.change(settings), clips.told] == [ended, "", ""]
    assert clips.archive.stats().state == "off"
