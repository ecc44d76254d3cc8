"""Kept clips with their thread and their files, and with a daemon that hears words."""

from __future__ import annotations

import json
import os
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from earmark.archive.archive import Archive
from earmark.archive.folder import Folder
from earmark.archive.kept_clip import KeptClip
from earmark.archive.query import ClipQuery
from earmark.config.settings import Clips
from tests.browser import Browser, missing
from tests.daemon import Daemon
from tests.posting import word
from tests.running import earmark

NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
DEADLINE = 30.0
RATE = 16_000


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def clip(number: int, minutes: float = 0.0) -> KeptClip:
    """A clip of so many minutes ago."""
    told = (NOW - timedelta(minutes=minutes)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return KeptClip(
        f"e-{number}", f"/v1/clips/e-{number}", told, "desk", "commands", "stop", 0.9, 1.0, 2.0, told, 0.0, 10.0, RATE
    )


def sound(seconds: float = 10.0) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Noise, which FLAC cannot make small: about 32 kB a second."""
    return np.random.default_rng(0).uniform(-1, 1, int(seconds * RATE)).astype(np.float32)


def opened(folder: Path, **options: Any) -> Archive:
    made = Archive(folder, options.pop("settings", Clips()), utc=lambda: NOW, **options)
    made.change(Clips() if "settings" not in options else options["settings"], wanted=True)
    return made


def test_a_clip_is_there_after_a_restart_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "clips"
    with opened(folder) as archive:
        archive.keep(clip(1), sound(1.0))
        until(lambda: archive.stats().written == 1)
    assert (folder.stat().st_mode & 0o777, (folder / "e-1.flac").stat().st_mode & 0o777) == (0o700, 0o600)
    (folder / ".e-9.part").write_bytes(b"half")
    (folder / "e-7.flac").write_bytes(b"no FLAC")
    (folder / "mine.txt").write_bytes(b"")
    with opened(folder) as again:
        ((found,), following) = again.search(ClipQuery())
        assert again.stats().bytes == found.bytes == (folder / "e-1.flac").stat().st_size
        path = again.file("e-1")
        assert again.file("e-7") is again.file("../e-1") is None
    assert (found.id, found.label, found.seconds, following) == ("e-1", "stop", 10.0, None)
    assert path is not None
    samples, rate = soundfile.read(path, dtype="float32")
    assert rate == RATE
    np.testing.assert_allclose(samples, sound(1.0), atol=2**-14)
    assert sorted(entry.name for entry in folder.iterdir()) == ["e-1.flac", "e-7.flac", "mine.txt"]


def test_a_clip_that_was_replaced_by_a_link_is_no_clip(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("nobody's sound")
    with opened(tmp_path / "clips") as archive:
        archive.keep(clip(1), sound(1.0))
        until(lambda: archive.stats().written == 1)
        kept = tmp_path / "clips" / "e-1.flac"
        kept.unlink()
        kept.symlink_to(secret)
        assert archive.file("e-1") is None
    assert secret.exists()


def test_the_oldest_clips_are_deleted_when_all_are_too_large_or_too_old(tmp_path: Path) -> None:
    settings = Clips(max_mb=16, max_age_days=1)
    archive = Archive(tmp_path, settings, utc=lambda: NOW)
    archive.change(settings, wanted=True)
    with archive:
        archive.keep(clip(1, minutes=1441), sound(1.0))
        for number in range(2, 62):
            until(lambda: archive.stats().waiting == 0)
            archive.keep(clip(number, minutes=100 - number), sound())
        until(lambda: archive.stats().written == 61)
        until(lambda: archive.stats().bytes <= 16_000_000)
        kept, _ = archive.search(ClipQuery(limit=1000))
    assert [each.id for each in kept] == [f"e-{number}" for number in range(61, 61 - len(kept), -1)]
    assert 40 <= len(kept) <= 60
    assert sum(entry.stat().st_size for entry in tmp_path.iterdir()) <= 16_000_000


def test_clips_that_are_too_old_are_deleted_at_the_start_and_while_nothing_new_is_kept(tmp_path: Path) -> None:
    with opened(tmp_path) as archive:
        archive.keep(clip(1, minutes=30), sound(1.0))
        archive.keep(clip(2, minutes=20), sound(1.0))
    now = NOW + timedelta(days=7) - timedelta(minutes=25)
    with Archive(tmp_path, Clips(), utc=lambda: now, look=0.01) as later:
        assert [each.id for each in later.search(ClipQuery())[0]] == ["e-2"]
        now = NOW + timedelta(days=7)
        until(lambda: later.search(ClipQuery())[0] == [])
        assert later.stats().state == "off"
    assert list(tmp_path.iterdir()) == []


def test_clips_can_be_deleted_one_by_one_and_by_a_filter(tmp_path: Path) -> None:
    with opened(tmp_path) as archive:
        for number in range(4):
            archive.keep(clip(number, minutes=number), sound(1.0))
        until(lambda: archive.stats().written == 4)
        assert (archive.delete(["e-0"]), archive.delete(["e-0", "e-77"])) == (1, 0)
        (tmp_path / "e-1.flac").unlink()
        assert archive.file("e-1") is None
        assert archive.delete(ClipQuery(to_time=NOW - timedelta(minutes=2, seconds=30))) == 1
        assert [entry.name for entry in tmp_path.iterdir()] == ["e-2.flac"]
        assert archive.delete(ClipQuery()) == 1
        assert (archive.stats().clips, archive.stats().bytes) == (0, 0)


def test_a_clip_is_replaced_only_while_it_is_there(tmp_path: Path) -> None:
    with opened(tmp_path) as archive:
        archive.keep(clip(1), sound(2.0))
        until(lambda: archive.stats().written == 1)
        archive.keep(clip(1), sound(1.0), replaces=True)
        until(lambda: archive.stats().bytes == (tmp_path / "e-1.flac").stat().st_size < 45_000)
        assert (archive.stats().written, archive.stats().clips, archive.delete(["e-1"])) == (1, 1, 1)
        archive.keep(clip(1), sound(1.0), replaces=True)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_used_is_told_once_and_used_again_when_it_can(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "clips").write_text("in the way")
    told: list[str] = []
    caplog.set_level("INFO", "earmark")
    with opened(tmp_path / "clips", on_trouble=told.append) as archive:
        for number in range(3):
            archive.keep(clip(number), sound(0.1))
        until(lambda: archive.stats().lost["disk"] == 3)
        assert archive.stats().state == "error"
        (tmp_path / "clips").unlink()
        archive.keep(clip(4), sound(0.1))
        until(lambda: archive.stats().written == 1 and archive.stats().state == "ok")
    assert len(told) == 1
    assert "clips cannot be kept" in told[0]
    assert [record.getMessage() for record in caplog.records][-1] == "clips are written again"


def test_a_folder_that_was_removed_is_begun_anew_with_the_next_clip(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "clips"
    with opened(folder) as archive:
        archive.keep(clip(1), sound(0.1))
        until(lambda: archive.stats().written == 1)
        shutil.rmtree(folder)
        archive.keep(clip(2), sound(0.1))
        until(lambda: archive.stats().written == 2)
        stats = archive.stats()
        assert (stats.state, stats.clips, stats.lost["disk"]) == ("ok", 1, 0)
        assert [kept.id for kept in archive.search(ClipQuery())[0]] == ["e-2"]
        assert archive.file("e-1") is None
    assert [entry.name for entry in folder.iterdir()] == ["e-2.flac"]
    assert "was removed or replaced" in caplog.text


def test_a_full_disk_loses_clips_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(Folder):
        def write(self, clip: KeptClip, content: bytes) -> None:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("earmark.archive.archive.Folder", Full)
    with opened(tmp_path) as archive:
        archive.keep(clip(1), sound(0.1))
        until(lambda: archive.stats().lost["disk"] == 1 and archive.stats().detail == "No space left on device")


def test_clips_that_the_disk_is_too_slow_for_are_counted(tmp_path: Path) -> None:
    archive = opened(tmp_path, queue_size=2)
    for number in range(5):
        archive.keep(clip(number), sound(0.1))
    assert (archive.stats().waiting, archive.stats().lost["queue"]) == (2, 3)
    with archive:
        until(lambda: archive.stats().written == 2)


def test_a_second_daemon_does_not_use_the_folder(tmp_path: Path) -> None:
    with opened(tmp_path) as first:
        first.keep(clip(1), sound(0.1))
        until(lambda: first.stats().written == 1)
        with opened(tmp_path) as second:
            second.keep(clip(2), sound(0.1))
            until(lambda: second.stats().lost["disk"] == 1 and "is in use by another daemon" in second.stats().detail)
    assert [entry.name for entry in tmp_path.iterdir()] == ["e-1.flac"]


def test_no_folder_is_made_before_a_clip_is_wanted(tmp_path: Path) -> None:
    with Archive(tmp_path / "clips", Clips()) as archive:
        assert archive.search(ClipQuery()) == ([], None)
        assert archive.file("e-1") is None
    assert list(tmp_path.iterdir()) == []


CONFIG = """
[clips]
path = "clips"
[journal]
path = "state"
[[source]]
kind = "file"
name = "desk"
path = "words.wav"
loop = true
[[classifier]]
name = "commands"
clips = {clips}
"""


def asked(daemon: Daemon, path: str, method: str = "GET", data: bytes | None = None, **headers: str) -> tuple[int, Any]:
    request = urllib.request.Request(f"http://{daemon.address}{path}", data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
            body = answer.read()
            return answer.status, body if answer.headers["content-type"] == "audio/flac" else json.loads(body)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.loads(refused.read() or b"{}")


@dataclass
class Heard:
    """A daemon that hears "stop" and "go" again and again, and keeps the sound of "stop"."""

    daemon: Daemon
    folder: Path
    stop: dict[str, Any]  # its first event
    go: dict[str, Any]

    def configure(self, clips: str) -> None:
        (self.folder / "earmark.toml").write_text(CONFIG.format(clips=clips))

    def kept(self) -> str:
        """The id of the newest clip."""
        until(lambda: bool(self.listed()))  # a test before may have deleted the only one
        return str(self.listed()[0]["id"])

    def listed(self) -> list[dict[str, Any]]:
        """The newest clip, or nothing."""
        return list(asked(self.daemon, "/v1/clips?limit=1")[1]["clips"])


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Heard]:
    folder = tmp_path_factory.mktemp("heard")
    quiet = np.zeros(round(1.2 * RATE), dtype=np.float32)
    soundfile.write(folder / "words.wav", np.concatenate([quiet, word("stop"), quiet, word("go"), quiet]), RATE)
    (folder / "earmark.toml").write_text(CONFIG.format(clips='["stop"]'))
    with Daemon("--config", str(folder / "earmark.toml")) as daemon:
        stop, go = (daemon.until(lambda event, label=label: event.get("label") == label) for label in ("stop", "go"))  # type: ignore[misc]
        until(lambda: asked(daemon, stop["clip"])[0] == 200)
        yield Heard(daemon, folder, stop, go)


def test_the_daemon_says_plainly_that_it_keeps_sound_of_what_and_where(heard: Heard) -> None:
    sentence = f"the sound of what is detected is kept in {heard.folder / 'clips'} (commands: stop)"
    assert heard.daemon.logged("earmarkd: the sound of") == f"earmarkd: {sentence}"
    assert heard.daemon.logged(f"INFO    {sentence}")  # once more when it listens


def test_the_clip_of_a_word_holds_the_word_and_can_be_heard(heard: Heard) -> None:
    daemon, stop = heard.daemon, heard.stop
    assert stop["clip"] == f"/v1/clips/{stop['id']}"
    assert "clip" not in heard.go
    _, content = asked(daemon, stop["clip"])
    _, scores = asked(daemon, "/", "POST", content)
    assert scores[0]["label"] == "stop"
    assert asked(daemon, stop["clip"], Range="bytes=0-3") == (206, b"fLaC")
    (listed,) = [each for each in asked(daemon, "/v1/clips?labels=stop")[1]["clips"] if each["id"] == stop["id"]]
    assert listed["begins"] == pytest.approx(max(0.0, stop["start"] - 1.0), abs=0.01)
    assert listed["begins"] + listed["seconds"] == pytest.approx(stop["end"] + 0.5, abs=0.01)
    assert asked(daemon, "/v1/clips?labels=go")[1]["clips"] == []
    assert asked(daemon, "/v1/clips?label=go")[0] == 400


def test_a_page_elsewhere_and_a_foreign_name_of_this_machine_hear_nothing(heard: Heard) -> None:
    assert asked(heard.daemon, heard.stop["clip"], Origin="http://localhost:9000")[0] == 403
    assert asked(heard.daemon, "/v1/clips", Host="kiosk.local")[0] == 403


def test_the_command_lists_gets_and_deletes(heard: Heard, tmp_path: Path) -> None:
    url, identity = ("--url", heard.daemon.address), heard.kept()
    listed = earmark("clips", "list", "--labels", "stop", "--from", "-1h", *url)
    assert (listed.returncode, listed.stderr) == (0, "")
    assert identity in listed.stdout
    assert earmark("clips", "list", "--json", "--limit", "1", *url).stdout.startswith('{"id":')
    got = earmark("clips", "get", identity, "--out", str(tmp_path / "stop.flac"), *url)
    assert got.returncode == 0, got.stderr
    assert soundfile.info(tmp_path / "stop.flac").samplerate == RATE
    assert earmark("clips", "delete", identity, *url).stdout == "1 deleted\n"
    gone = earmark("clips", "get", identity, *url)
    assert (gone.returncode, f"there is no clip {identity}" in gone.stderr) == (1, True)
    unclear = earmark("clips", "delete", "--all", "--labels", "stop", *url)
    assert (unclear.returncode, "or say --all" in unclear.stderr) == (2, True)
    assert earmark("clips", "delete", "--to", "-1d", *url).stdout == "0 deleted\n"


@pytest.mark.skipif(bool(missing()), reason=missing())
def test_the_page_plays_the_sound_of_a_detection(heard: Heard) -> None:
    with Browser() as browser:
        browser.do("open", url=f"http://{heard.daemon.address}/")
        kept = heard.kept()  # the newest detection may have no clip: not yet, or not any more
        browser.until(f"store.rows.some(({{ id, span }}) => id === '{kept}' && span.to)")
        browser.do("fill", on="#filter-label", value="stop")
        browser.click_in_row(f"'{kept}'", ".line")
        browser.click_in_row(f"'{kept}'", ".play")
        assert browser.until("view.heard && !view.heard.playing && view.heard") == {"id": kept}
        assert browser.do("problems") == []


def test_a_reload_switches_clips_off_and_leaves_those_that_exist_until_they_are_deleted(heard: Heard) -> None:
    """The last one: afterwards there is no clip any more."""
    daemon = heard.daemon
    daemon.until(lambda event: event.get("label") == "stop")
    heard.configure("[]")
    assert asked(daemon, "/v1/reload", "POST", b"{}", **{"Content-Type": "application/json"})[0] == 200
    told = daemon.until(lambda event: event["type"] == "config")
    assert told["classifiers"][0]["clips"] == []
    assert "clip" not in daemon.until(lambda event: event.get("label") == "stop")
    assert "clips are kept no more; those in" in daemon.logged("clips are kept no more")
    assert asked(daemon, "/info")[1]["archive"]["state"] == "off"
    identity = heard.kept()
    assert asked(daemon, f"/v1/clips/{identity}", "DELETE") == (200, {"deleted": 1})
    assert asked(daemon, f"/v1/clips/{identity}", "DELETE")[0] == 404
    assert asked(daemon, "/v1/clips", "DELETE")[0] == 200
    assert os.listdir(heard.folder / "clips") == []
