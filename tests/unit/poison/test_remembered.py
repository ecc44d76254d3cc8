from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path

import msgspec
import pytest

from earmark.poison.clips import Clip
from earmark.poison.remembered import FILE, MAX_REMEMBERED, Remembered, RememberedClips

CLIP = Clip("m", "r", "aa")


def killed(clips: RememberedClips, clip: Clip = CLIP) -> list[bool]:
    """Let the clip kill twice. Returns whether it was refused from then on, each time."""

    async def scene() -> list[bool]:
        return [await clips.add_death(clip) for _ in range(2)]

    return asyncio.run(scene())


def test_a_clip_that_killed_twice_is_refused_by_the_next_daemon_too_until_the_file_is_deleted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "state"
    assert killed(RememberedClips(folder, "1")) == [False, True]
    assert f"it is refused until {folder / FILE} is deleted" in caplog.text
    again = RememberedClips(folder, "1")
    assert (again.is_refused(CLIP), len(again)) == (True, 1)
    assert not again.is_refused(CLIP._replace(audio="bb"))
    assert [each.name for each in folder.iterdir()] == [FILE]
    assert (folder / FILE).stat().st_mode & 0o777 == 0o600
    (folder / FILE).unlink()
    assert (again.is_refused(CLIP), len(again), again.deaths(CLIP)) == (False, 0, 0)
    assert f"{folder / FILE} was deleted" in caplog.text


def test_a_clip_that_killed_once_is_not_remembered(tmp_path: Path) -> None:
    clips = RememberedClips(tmp_path, "1")
    assert not asyncio.run(clips.add_death(CLIP))
    clips.forget(CLIP)
    assert (clips.deaths(CLIP), list(tmp_path.iterdir())) == (0, [])


def test_another_release_tries_the_clips_again(tmp_path: Path) -> None:
    killed(RememberedClips(tmp_path, "1"))
    assert not RememberedClips(tmp_path, "2").is_refused(CLIP)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"release": "1", "clips": [["m"]]}', b"\xff" * 2_000_000])
def test_a_damaged_file_is_told_and_replaced_by_the_next_clip(
    content: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / FILE).write_bytes(content)
    clips = RememberedClips(tmp_path, "1")
    assert len(clips) == 0
    assert f"{tmp_path / FILE}: cannot be read" in caplog.text
    killed(clips)
    assert RememberedClips(tmp_path, "1").is_refused(CLIP)


def test_the_file_holds_the_newest_clips_and_says_what_it_is(tmp_path: Path) -> None:
    full = [CLIP._replace(audio=str(number)) for number in range(MAX_REMEMBERED)]
    (tmp_path / FILE).write_bytes(msgspec.json.encode(Remembered("1", tuple(full))))
    clips = RememberedClips(tmp_path, "1")
    assert clips.is_refused(full[0])
    killed(clips, CLIP)
    again = RememberedClips(tmp_path, "1")
    assert [again.is_refused(clip) for clip in (full[0], full[1], CLIP)] == [False, True, True]
    assert "Delete this file to have them tried again" in json.loads((tmp_path / FILE).read_bytes())["about"]


@pytest.mark.parametrize("folder", [None, "file/state"])
def test_without_a_folder_that_can_be_written_clips_are_refused_until_the_daemon_ends(
    folder: str | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    clips = RememberedClips(None if folder is None else tmp_path / folder, "1")
    assert killed(clips) == [False, True]
    assert clips.is_refused(CLIP)
    assert "until the daemon ends" in caplog.text
    assert [record.levelno for record in caplog.records][-1] == logging.ERROR
