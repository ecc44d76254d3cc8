"""Real files, a real thread; the clock is turned by hand."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from earmark.audio.types import Block, Samples
from earmark.capture import build
from earmark.capture.file import File
from earmark.capture.intake import Intake
from earmark.capture.items import Ended, Item, Started
from earmark.config import sources as config
from earmark.errors import AudioError, SourceError
from earmark.recordings.recording import check, open_recording

DEADLINE = 20.0


def tone(rate: int, seconds: float, channels: int = 1) -> np.ndarray[Any, np.dtype[np.float32]]:
    """A rising tone, shape (n, channels), each channel a little quieter than the one before.

    It swells and fades, because Opus has no last frame to overlap the end with.
    """
    time = np.arange(round(rate * seconds)) / rate
    wave = 0.5 * np.sin(2 * np.pi * (200 + 400 * time) * time) * np.sin(np.pi * time / seconds) ** 2
    return np.stack([wave * 0.8**channel for channel in range(channels)], axis=1).astype(np.float32)


class Collector:
    """Collects what a file source delivers, on this thread."""

    def __init__(self, path: Path, *, fast: bool = True, loop: bool = False, **shell: Any) -> None:
        self._woken = threading.Event()
        self.intake = Intake("test", self._woken.set, live=not fast)
        self.source = File(config.File(name="test", path=str(path), fast=fast, loop=loop), self.intake, **shell)
        self.items: list[Item] = []
        self.source.start()

    def until_ended(self) -> Ended:
        while not (self.items and isinstance(self.items[-1], Ended)):
            self.more()
        last = self.items[-1]
        assert isinstance(last, Ended)
        return last

    def until(self, position: int) -> None:
        while not self.blocks or self.blocks[-1].position + len(self.blocks[-1].samples) < position:
            self.more()

    def more(self) -> None:
        assert self._woken.wait(DEADLINE), "nothing more came"
        self._woken.clear()
        self.items += self.intake.drain()

    @property
    def blocks(self) -> list[Block]:
        return [item for item in self.items if isinstance(item, Block)]

    def samples(self) -> Samples:
        """All of them, after seeing to it that none is missing or came twice."""
        end = 0
        for block in self.blocks:
            assert block.position == end
            end += len(block.samples)
        return np.concatenate([block.samples for block in self.blocks])


@pytest.mark.parametrize(
    ("name", "subtype", "rate", "channels", "tolerance"),
    [
        ("a.wav", "PCM_16", 8000, 1, 1e-4),
        ("a.wav", "PCM_24", 44100, 2, 1e-6),
        ("a.wav", "FLOAT", 96000, 6, 1e-6),
        ("a.wav", "PCM_U8", 16000, 1, 0.01),
        ("a.wav", "ULAW", 8000, 1, 0.05),
        ("a.flac", "PCM_16", 48000, 2, 1e-4),
        ("a.aiff", "PCM_16", 22050, 1, 1e-4),
        ("a.ogg", "VORBIS", 44100, 2, 0.1),
        ("a.opus", "OPUS", 48000, 1, 0.1),
    ],
)
def test_every_sample_arrives_once_and_in_order(
    tmp_path: Path, name: str, subtype: str, rate: int, channels: int, tolerance: float
) -> None:
    wave = tone(rate, 3.3, channels)
    form = "OGG" if name.endswith("opus") else None
    soundfile.write(tmp_path / name, wave, rate, subtype=subtype, format=form)
    check(str(tmp_path / name))
    collector = Collector(tmp_path / name)
    assert collector.until_ended() == Ended()
    assert collector.items[0] == Started(name, rate)
    assert {block.rate for block in collector.blocks} == {rate}
    np.testing.assert_allclose(collector.samples(), wave.mean(axis=1), atol=tolerance)


def test_mp3_is_read(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.mp3", tone(44100, 2.0, 2), 44100)
    collector = Collector(tmp_path / "a.mp3")
    assert collector.until_ended() == Ended()
    assert len(collector.samples()) == pytest.approx(2 * 44100, abs=2000)


@pytest.mark.parametrize(("name", "codec"), [("a.webm", "libopus"), ("a.m4a", "aac"), ("a.aac", "aac")])
def test_what_libsndfile_cannot_read_is_read_by_ffmpeg(tmp_path: Path, name: str, codec: str) -> None:
    av = pytest.importorskip("av", reason="needs PyAV: pip install 'earmark[av]'")
    wave = tone(48000, 2.0, 2)
    with av.open(str(tmp_path / name), "w") as container:
        stream = container.add_stream(codec, rate=48000)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(wave.T), format="fltp", layout="stereo")
        frame.sample_rate = 48000
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    check(str(tmp_path / name))
    collector = Collector(tmp_path / name)
    assert collector.until_ended() == Ended()
    heard = collector.samples()
    lag = int(np.argmax(np.correlate(heard, wave.mean(axis=1)[9600:19200], "valid")))  # the codec's own delay
    np.testing.assert_allclose(heard[lag : lag + 9600], wave.mean(axis=1)[9600:19200], atol=0.1)


def test_a_loop_is_one_stream_without_an_end(tmp_path: Path) -> None:
    wave = tone(8000, 0.25)
    soundfile.write(tmp_path / "a.wav", wave, 8000, subtype="FLOAT")
    collector = Collector(tmp_path / "a.wav", loop=True)
    collector.until(4 * len(wave))
    collector.source.close()
    np.testing.assert_allclose(collector.samples()[: 4 * len(wave)], np.tile(wave[:, 0], 4))
    assert [item for item in collector.items if not isinstance(item, Block)] == [Started("a.wav", 8000)]


class Time:
    """A clock that only the source's own waiting moves; every wait is `late` by so many nanoseconds."""

    def __init__(self, late: int = 0) -> None:
        self.now = 1_000_000_000
        self._late = late

    def clock(self) -> int:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += round(seconds * 1e9) + self._late


def delivered_at(path: Path, time: Time) -> list[int]:
    """Milliseconds after the start at which each block was delivered."""
    started, moments = time.now, []
    woken = threading.Event()

    class Noting(Intake):
        def offer(self, samples: Samples, captured: int | None = None) -> None:
            moments.append((time.now - started) // 1_000_000)
            super().offer(samples)

    intake = Noting("test", woken.set)
    source = File(config.File(name="test", path=str(path)), intake, clock=time.clock, wait=time.wait)
    source.start()
    while not any(isinstance(item, Ended) for item in intake.drain()):
        assert woken.wait(DEADLINE)
        woken.clear()
    source.close()
    return moments


def test_at_real_time_a_block_comes_when_its_last_sample_sounded(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(44100, 0.11), 44100)
    assert delivered_at(tmp_path / "a.wav", Time()) == [20, 40, 60, 80, 100, 110]


def test_lateness_does_not_add_up(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(8000, 10.0), 8000)
    moments = delivered_at(tmp_path / "a.wav", Time(late=3_000_000))
    assert moments == [20 * number + 3 for number in range(1, 501)]


@pytest.mark.parametrize("fast", [True, False], ids=["fast, with nobody draining", "at real time"])
def test_close_ends_the_thread(tmp_path: Path, fast: bool) -> None:
    soundfile.write(tmp_path / "a.wav", tone(8000, 60.0), 8000)
    collector = Collector(tmp_path / "a.wav", fast=fast)
    collector.until(1)
    before = time.monotonic()
    collector.source.close()
    collector.source.close()
    assert time.monotonic() - before < 2.0
    assert not [thread for thread in threading.enumerate() if thread.name == "file test"]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "gone.wav"
    with pytest.raises(SourceError, match=r"gone.wav: no such file or directory$"):
        check(str(path))
    assert "gone.wav: no such file" in Collector(path).until_ended().error


def test_a_folder_and_a_pipe_are_not_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SourceError, match=r"pipe: not a regular file; to listen to a pipe .* use a command source"):
        check(str(tmp_path / "pipe"))
    with pytest.raises(SourceError, match=r"is a directory$"):
        check(str(tmp_path))


@pytest.mark.parametrize("content", [b"", b"RIFF", b"not audio " * 100, b"RIFF\xff\xff\xff\xffWAVEfmt "])
def test_garbage_is_not_audio(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.wav"
    path.write_bytes(content)
    with pytest.raises(AudioError, match=r"bad.wav: .*convert|bad.wav: holds no sound"):
        check(str(path))
    assert "bad.wav: " in Collector(path).until_ended().error


def test_silence_of_no_length_is_refused_and_does_not_spin_in_a_loop(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(0), 8000)
    with pytest.raises(AudioError, match=r"a.wav: holds no sound"):
        check(str(tmp_path / "a.wav"))
    assert "holds no sound" in Collector(tmp_path / "a.wav", loop=True).until_ended().error


def test_one_channel_of_a_recording_can_be_taken(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.tile([0.25, -0.5], (1600, 1)), 16000)
    taken = open_recording(str(tmp_path / "a.wav"), channel=2)
    assert set(taken.read(1600).tolist()) == {-0.5}
    taken.close()
    with pytest.raises(AudioError, match=r"a.wav: there is no channel 3; it has 2"):
        check(str(tmp_path / "a.wav"), channel=3)


def test_a_rate_that_no_device_has_is_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(400, 1.0), 400)
    with pytest.raises(AudioError, match=r"a.wav: 400 is not a sample rate \(Hz, 1000 to 768000\); convert it"):
        check(str(tmp_path / "a.wav"))


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.aiff", "a.mp3"])
def test_of_a_truncated_file_what_is_there_is_delivered_and_the_log_says_what_is_not(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    wave = tone(16000, 10.0)
    soundfile.write(tmp_path / "whole", wave, 16000, format=name[2:].upper())
    whole = (tmp_path / "whole").read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    check(str(tmp_path / name))  # it begins with sound
    collector = Collector(tmp_path / name)
    assert collector.until_ended() == Ended()
    heard = collector.samples()
    assert 4 * 16000 < len(heard) < 6 * 16000
    if name != "a.mp3":  # whose promise only FFmpeg reads
        assert f"{name}: the header promises 10 s and" in caplog.text
        assert f"{len(heard) / 16000:.3f} s were heard" in caplog.text
        np.testing.assert_allclose(heard, wave[: len(heard), 0], atol=1e-4)


def test_a_stream_of_unknown_length_is_not_called_damaged(tmp_path: Path) -> None:
    """ffmpeg writing WAV to a pipe cannot know the length, and leaves the largest in the header."""
    soundfile.write(tmp_path / "a.wav", tone(8000, 1.0), 8000)
    data = bytearray((tmp_path / "a.wav").read_bytes())
    data[4:8] = data[40:44] = b"\xff\xff\xff\xff"
    (tmp_path / "a.wav").write_bytes(data)
    collector = Collector(tmp_path / "a.wav")
    assert collector.until_ended() == Ended()
    assert len(collector.samples()) == 8000


def test_not_a_number_in_a_file_becomes_silence(tmp_path: Path) -> None:
    wave = tone(8000, 0.1)
    wave[100:200] = np.nan
    soundfile.write(tmp_path / "a.wav", wave, 8000, subtype="FLOAT")
    collector = Collector(tmp_path / "a.wav")
    collector.until_ended()
    assert not collector.samples()[100:200].any()
    assert np.isfinite(collector.samples()).all()


def test_build_makes_a_file_source(tmp_path: Path) -> None:
    assert isinstance(build(config.File(name="f", path="a.wav"), Intake("f", lambda: None)), File)
