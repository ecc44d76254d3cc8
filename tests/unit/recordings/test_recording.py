"""What is there is heard, by both decoders and through both doors."""

from __future__ import annotations

import io
import struct
import threading
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from earmark.audio.types import Samples
from earmark.bodies.decode import Limits, decode
from earmark.bodies.memory import Budget, Reservation
from earmark.errors import AudioError, TooMuchAudio
from earmark.recordings import ffmpeg, ogg, sndfile
from earmark.recordings.decoder import NeedsFFmpeg
from earmark.recordings.recording import OPENERS, Opener, Recording, open_clip, open_recording
from tests.audiofiles import RATE, encoded, flac_of_unknown_length, mp3_frames, muxed, tone

DECODERS = {"ffmpeg": (ffmpeg.open_all,), "libsndfile": (sndfile.open_all,)}
LIMITS = Limits(60.0, 100_000_000)


@pytest.fixture(params=DECODERS)
def openers(request: pytest.FixtureRequest) -> Sequence[Opener]:
    if request.param == "ffmpeg":
        pytest.importorskip("av", reason="the extra `av` is not installed")
    return DECODERS[request.param]


def hear(content: bytes, openers: Sequence[Opener] = OPENERS) -> tuple[Samples, str]:
    """All samples of a file and the warning."""
    recording = Recording(io.BytesIO(content), "it", openers)
    blocks = []
    while len(block := recording.read(1000)):
        blocks.append(block)
    recording.close()
    return np.concatenate(blocks) if blocks else np.zeros(0, np.float32), recording.warning


def seconds(content: bytes, openers: Sequence[Opener] = OPENERS) -> float:
    return len(hear(content, openers)[0]) / RATE


def vorbis_at(rate: int, seconds: float = 1.0) -> bytes:
    """Vorbis whose header names this rate."""
    file = encoded(tone(seconds), "OGG", "VORBIS")
    first = next(ogg.pages(io.BytesIO(file)))
    packet = file[first.body : first.end]
    named = packet[:12] + rate.to_bytes(4, "little") + packet[16:]
    return ogg.numbered(ogg.paged([named], first.serial, begins=True), first.number) + file[first.end :]


@pytest.mark.parametrize("rate", [1, 999, 768_001, 2_000_000_000])
def test_what_is_joined_and_names_no_sample_rate_is_left_out(rate: int, openers: Sequence[Opener]) -> None:
    samples, warning = hear(vorbis_at(16000) + vorbis_at(rate) + vorbis_at(8000), openers)
    assert len(samples) == pytest.approx(3 * RATE, abs=2000)
    assert "damaged in 1 place, which were left out; 3 recordings in one file" in warning


def test_a_low_rate_after_a_high_one_is_resampled_a_piece_at_a_time(openers: Sequence[Opener]) -> None:
    recording = Recording(io.BytesIO(vorbis_at(768_000, 0.1) + vorbis_at(1000, 30.0)), "it", openers)
    tracemalloc.start()
    try:
        for _ in range(40):
            assert len(recording.read(2**17)) == 2**17
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        recording.close()
    assert peak < 30_000_000


def wav(data: int, riff: int | None = None) -> bytes:
    """A second of WAV whose header names these lengths."""
    file = bytearray(encoded(tone(1.0), "WAV"))
    file[40:44] = struct.pack("<I", data)
    file[4:8] = struct.pack("<I", min(data + 36, 0xFFFFFFFF) if riff is None else riff)
    return bytes(file)


@pytest.mark.parametrize(
    ("form", "subtype", "tolerance"),
    [
        ("WAV", "PCM_U8", 0.01),
        ("WAV", "PCM_16", 1e-4),
        ("WAV", "PCM_24", 1e-6),
        ("WAV", "PCM_32", 1e-6),
        ("WAV", "FLOAT", 0.0),
        ("WAV", "DOUBLE", 1e-7),
        ("WAV", "ULAW", 0.02),
        ("WAV", "ALAW", 0.02),
        ("WAV", "MS_ADPCM", 0.05),
        ("WAVEX", "PCM_16", 1e-4),
        ("RF64", "PCM_24", 1e-6),
        ("W64", "PCM_16", 1e-4),
        ("AIFF", "PCM_16", 1e-4),
        ("AU", "PCM_16", 1e-4),
        ("CAF", "PCM_16", 1e-4),
        ("FLAC", "PCM_24", 1e-6),
        ("OGG", "VORBIS", 0.1),
        ("MP3", None, 0.1),
    ],
)
def test_every_sample_of_a_sound_file_is_heard_and_nothing_is_warned_of(
    openers: Sequence[Opener], form: str, subtype: str | None, tolerance: float
) -> None:
    samples, warning = hear(encoded(tone(1.0), form, subtype), openers)
    assert abs(len(samples) - RATE) <= (0 if tolerance < 0.03 else 0.1 * RATE)
    np.testing.assert_allclose(samples[:RATE], tone(1.0)[: len(samples)], rtol=0, atol=tolerance)
    assert warning == ""


@pytest.mark.parametrize(
    ("data", "warned"),
    [(0, False), (0xFFFFFFFF, False), (0x7FFFF000, False), (32001, True), (32008, True), (32036, True), (10**8, True)],
)
def test_a_wav_whose_header_promises_more_than_there_is_is_heard_whole(data: int, warned: bool) -> None:
    samples, warning = hear(wav(data))
    np.testing.assert_allclose(samples, tone(1.0), rtol=0, atol=1e-4)
    assert bool(warning) == warned
    assert ("the header promises" in warning) == warned


def test_a_wav_that_was_killed_before_its_lengths_were_written_is_heard_whole() -> None:
    assert hear(wav(0, riff=0))[0] == pytest.approx(tone(1.0), abs=1e-4)


def test_a_wav_with_less_than_a_frame_at_its_end_is_heard_up_to_there() -> None:
    stereo = encoded(np.stack([tone(1.0), tone(1.0)], axis=1), "WAV")
    samples, warning = hear(stereo[:-3])
    assert len(samples) == RATE - 1
    assert "0.999938 s are there" in warning


def test_after_the_samples_of_a_wav_other_chunks_are_not_sound() -> None:
    file = encoded(tone(1.0), "WAV") + b"LIST" + struct.pack("<I", 4) + b"INFO"
    samples, warning = hear(file)
    assert samples == pytest.approx(tone(1.0), abs=1e-4)
    assert warning == ""


def test_a_flac_of_unknown_length_is_heard_to_its_last_sample(openers: Sequence[Opener]) -> None:
    samples, warning = hear(flac_of_unknown_length(encoded(tone(1.03), "FLAC")), openers)
    assert samples == pytest.approx(tone(1.03), abs=1e-4)
    assert warning == ""


def test_flac_in_ogg_is_heard(openers: Sequence[Opener]) -> None:
    samples, warning = hear(muxed(tone(1.0), "oga", "flac"), openers)
    assert samples[:RATE] == pytest.approx(tone(1.0), abs=1e-4)
    assert warning == ""


def test_of_a_flac_that_was_cut_what_is_there_is_heard(openers: Sequence[Opener]) -> None:
    whole = encoded(tone(4.0), "FLAC")
    samples, warning = hear(whole[: len(whole) // 2], openers)
    assert 1.0 * RATE < len(samples) < 3.0 * RATE
    assert samples == pytest.approx(tone(4.0)[: len(samples)], abs=1e-4)
    assert "the header promises 4 s" in warning
    assert f"{len(samples) / RATE:.3f} s were heard" in warning


def test_a_damaged_flac_frame_is_left_out_and_the_rest_is_heard() -> None:
    pytest.importorskip("av", reason="the extra `av` is not installed")
    file = bytearray(encoded(tone(4.0), "FLAC"))
    place = len(file) // 2
    file[place : place + 100] = bytes(100)
    samples, warning = hear(bytes(file))
    assert 3.0 * RATE < len(samples) < 4.0 * RATE
    assert samples[-RATE:] == pytest.approx(tone(4.0)[-RATE:], abs=1e-4)
    assert warning


def test_an_mp3_of_variable_rate_that_does_not_say_its_length_is_heard_whole(openers: Sequence[Opener]) -> None:
    quiet_then_loud = np.concatenate([np.zeros(6 * RATE, np.float32), tone(6.0, 3000.0), tone(1.0)])
    assert seconds(mp3_frames(encoded(quiet_then_loud, "MP3")), openers) == pytest.approx(13.0, abs=0.15)


@pytest.mark.parametrize("before", [bytes(2000), b"\xff\xfb" * 300, b"ID3\x04\0\0\0\0\x0f\x76" + bytes(2038)])
def test_an_mp3_after_zeros_garbage_or_a_tag_is_heard(openers: Sequence[Opener], before: bytes) -> None:
    assert seconds(before + mp3_frames(encoded(tone(2.0), "MP3")), openers) == pytest.approx(2.0, abs=0.15)


def test_an_mp3_that_begins_and_ends_in_mid_frame_is_heard(openers: Sequence[Opener]) -> None:
    file = mp3_frames(encoded(tone(3.0), "MP3"))
    assert seconds(file[50:-50], openers) == pytest.approx(3.0, abs=0.3)


def test_an_mp3_that_was_cut_says_how_much_was_promised() -> None:
    file = encoded(tone(10.0), "MP3")
    samples, warning = hear(file[: len(file) // 2])
    assert 4.0 * RATE < len(samples) < 6.0 * RATE
    assert ("the header promises 1" in warning) == (OPENERS[0] is ffmpeg.open_all)


@pytest.mark.parametrize(("form", "subtype"), [("MP3", None), ("OGG", "VORBIS"), ("OGG", "OPUS")])
def test_of_files_that_were_joined_all_are_heard(openers: Sequence[Opener], form: str, subtype: str | None) -> None:
    both = encoded(tone(1.0, 440.0), form, subtype) + encoded(tone(2.0, 2000.0), form, subtype)
    recording = Recording(io.BytesIO(both), "it", openers)
    samples = np.concatenate(_all(recording))
    assert len(samples) / recording.rate == pytest.approx(3.0, abs=0.2)
    tail = samples[-round(1.5 * recording.rate) : -round(0.5 * recording.rate)]
    spectrum = np.abs(np.fft.rfft(tail * np.hanning(len(tail))))
    assert np.argmax(spectrum) * recording.rate / len(tail) == pytest.approx(2000.0, abs=5.0)


def _all(recording: Recording) -> list[Samples]:
    blocks = []
    while len(block := recording.read(1000)):
        blocks.append(block)
    return blocks


def test_of_joined_files_with_other_rates_all_are_heard_at_the_rate_of_the_first(openers: Sequence[Opener]) -> None:
    second = encoded(tone(1.0, 440.0, 24000), "OGG", "VORBIS", 24000)
    samples, warning = hear(encoded(tone(1.0), "OGG", "VORBIS") + second, openers)
    assert len(samples) / RATE == pytest.approx(2.0, abs=0.05)
    assert "2 recordings in one file; 1.9" in warning or "2 recordings in one file; 2.0" in warning


@pytest.mark.parametrize(
    ("form", "codec"),
    [
        ("adts", "aac"),
        ("mp4", "aac"),
        ("mpegts", "aac"),
        ("flv", "aac"),
        ("webm", "libopus"),
        ("caf", "pcm_alaw"),
        ("asf", "wmav2"),
        ("wav", "g722"),
        ("wv", "wavpack"),
        ("tta", "tta"),
        ("ogg", "libspeex"),
        ("avi", "pcm_s16le"),
    ],
)
def test_with_the_extra_what_ffmpeg_reads_is_heard_and_nothing_is_warned_of(form: str, codec: str) -> None:
    rate = 48000 if codec == "libopus" else RATE
    file = muxed(tone(2.0, rate=rate), form, codec, rate)
    recording = Recording(io.BytesIO(file), "it")
    heard = sum(len(block) for block in _all(recording)) / recording.rate
    assert heard == pytest.approx(2.0, abs=0.15)
    assert recording.warning == ""


def test_an_aac_whose_length_is_guessed_from_its_first_frames_is_heard_whole() -> None:
    silence_first = np.concatenate([np.zeros(3 * RATE, np.float32), tone(1.0)])
    samples, warning = hear(muxed(silence_first, "adts", "aac"))
    assert len(samples) / RATE == pytest.approx(4.0, abs=0.15)
    assert warning == ""


def test_an_aac_after_a_tag_as_in_hls_is_heard() -> None:
    tag = b"ID3\x04\0\0\0\0\0\x3f" + bytes(63)
    assert seconds(tag + muxed(tone(1.0), "adts", "aac")) == pytest.approx(1.0, abs=0.15)


def test_a_damaged_packet_is_left_out_and_the_rest_is_heard() -> None:
    file = bytearray(muxed(tone(3.0), "adts", "aac"))
    place = len(file) // 2
    file[place : place + 40] = b"\xa5" * 40
    samples, _ = hear(bytes(file))
    assert 2.5 * RATE < len(samples) < 3.2 * RATE


CASES = {
    "wav": encoded(tone(1.0), "WAV"),
    "wav of unknown length": wav(0),
    "flac": flac_of_unknown_length(encoded(tone(1.0), "FLAC")),
    "mp3": mp3_frames(encoded(tone(1.0), "MP3")),
    "joined": encoded(tone(1.0), "OGG", "VORBIS") + encoded(tone(1.0, 99.0), "OGG", "VORBIS"),
    "cut": encoded(tone(1.0), "FLAC")[:-500],
}


@pytest.mark.parametrize("name", CASES)
def test_a_file_and_a_clip_give_the_same_samples_whatever_the_name_of_the_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.raw").write_bytes(CASES[name])
    recording = open_recording(str(tmp_path / "a.raw"))
    from_file = np.concatenate(_all(recording))
    recording.close()
    clip = decode(CASES[name], RATE, LIMITS, Reservation(Budget(10**9), "memory"), threading.Event())
    assert np.array_equal(clip.samples, from_file)
    assert clip.warning == recording.warning


def test_a_header_that_promises_hours_is_no_reason_to_refuse_what_is_there() -> None:
    file = bytearray(encoded(tone(1.0), "FLAC"))
    file[21] |= 0x0F
    file[22:26] = b"\xff" * 4  # 2**36 - 1 samples, 49 days
    clip = decode(bytes(file), RATE, LIMITS, Reservation(Budget(1_000_000), "memory"), threading.Event())
    assert clip.seconds == 1.0
    assert "the header promises" in clip.warning


def test_samples_are_counted_while_they_are_decoded_and_not_believed() -> None:
    hour = flac_of_unknown_length(encoded(np.zeros(3600 * 8000, np.float32), "FLAC", rate=8000))
    with pytest.raises(TooMuchAudio, match=r"max_seconds"):
        decode(hour, RATE, LIMITS, Reservation(Budget(10**9), "memory"), threading.Event())


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "the clip: holds no sound: the file is empty"),
        (b"not audio " * 100, "it is text;"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "it is a PNG image;"),
        (b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\nhttp://127.0.0.1/a.wav\n", "it is a playlist, whose entries are never"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "it is text;"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "it is WAV"),
        (b"<html></html>", "it is text in HTML or XML;"),
        (b"ID3", "it is MP3"),
    ],
)
def test_what_is_no_audio_is_refused_and_says_what_it_is(content: bytes, sentence: str) -> None:
    with pytest.raises(AudioError) as refused:
        open_clip(content)
    assert sentence in str(refused.value)


def test_without_the_extra_a_format_that_needs_it_says_so() -> None:
    def without(file: object, head: bytes, name: str) -> object:
        raise NeedsFFmpeg("not installed")
        yield

    for file, name in ((b"#!AMR\n" + bytes(50), "AMR"), (b"\x1aE\xdf\xa3" + bytes(50), "WebM or Matroska")):
        with pytest.raises(NeedsFFmpeg, match=rf"it is {name}; .*pip install 'earmark\[av\]'"):
            Recording(io.BytesIO(file), "it", (without, sndfile.open_all))  # type: ignore[arg-type]


def test_reading_gives_as_many_samples_as_asked_for_until_the_end() -> None:
    recording = Recording(io.BytesIO(encoded(tone(1.0), "FLAC")), "it")
    lengths = [len(block) for block in _all(recording)]
    assert lengths == [1000] * 16
    assert len(recording.read(1000)) == 0


@pytest.mark.parametrize("channels", [2, 7, 8, 9, 16, 64, 200])
def test_every_channel_is_heard_also_where_there_are_more_than_ffmpeg_has_pointers_for(channels: int) -> None:
    """PyAV alone reads memory beyond the planes of eight channels and more, and the process may die of it."""
    frames = np.zeros((RATE, channels), np.float32)
    frames[:, -1] = tone(1.0)
    samples, warning = hear(encoded(frames, "OGG", "VORBIS"))
    assert len(samples) / RATE == pytest.approx(1.0, abs=0.05)
    assert np.abs(samples).max() == pytest.approx(0.25 / channels, rel=0.1)
    assert warning == ""
