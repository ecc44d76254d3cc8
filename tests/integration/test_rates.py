"""Rates and formats other than the model's: the labels and scores are those of sound that was resampled offline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr

from earmark.audio.types import Samples
from tests.daemon import DEADLINE, Daemon, earmarkd, events
from tests.pulse import Pulse, missing
from tests.signals import demo

pytestmark = pytest.mark.scenario(6)

RATE = 16000
RATES = (8000, 44100, 48000, 96000)
TOLERANCE = 0.02  # of a score


def stereo(folder: Path, samples: Samples, rate: int) -> Path:
    """A recording of 24 bits with two channels at this rate."""
    path = folder / f"at{rate}.wav"
    resampled = soxr.resample(samples, RATE, rate)
    soundfile.write(path, np.column_stack([resampled, resampled]), rate, subtype="PCM_24")
    return path


def reference(folder: Path, path: Path) -> Path:
    """The same sound, resampled offline in one go."""
    samples, rate = soundfile.read(path, dtype="float32")
    offline = folder / f"offline{rate}.wav"
    soundfile.write(offline, soxr.resample(samples.mean(axis=1), rate, RATE), RATE, subtype="FLOAT")
    return offline


def best(results: list[dict[str, Any]], source: str) -> list[tuple[str, float]]:
    """The best label of each result of a source, and its score."""
    found = [event["result"][0] for event in results if event["source"] == source]
    return [(each["label"], each["score"]) for each in found]


def test_recordings_of_any_rate_in_24_bits_and_stereo_score_as_if_resampled_offline(tmp_path: Path) -> None:
    samples, _, words = demo(longest=8.5)
    files = [stereo(tmp_path, samples, rate) for rate in RATES]
    files += [reference(tmp_path, path) for path in files]
    arguments = [argument for path in files for argument in ("--file", str(path))]

    done = earmarkd(*arguments, "--fast", "--once", "--events", "-")

    assert done.returncode == 0, done.stderr
    results = events(done.stdout, "result")
    for rate in RATES:
        expected = best(results, f"offline{rate}")
        assert len(expected) == len(words)
        got = best(results, f"at{rate}")
        assert [label for label, _ in got] == [label for label, _ in expected], rate
        assert [score for _, score in got] == pytest.approx([score for _, score in expected], abs=TOLERANCE), rate
    limited = {
        event["source"] for event in events(done.stdout, "source") if event.get("detail", "").startswith("band_limited")
    }
    assert "at8000" in limited, "it is at a lower rate than the model takes"
    assert limited <= {"at8000", "offline8000"}


@pytest.mark.realtime
@pytest.mark.skipif(bool(missing()), reason=missing() or "nothing is missing")
def test_microphones_of_any_rate_score_as_if_resampled_offline(tmp_path: Path) -> None:
    """Devices of 24 bits with two channels, of a real sound server, each recorded at its own rate."""
    samples, _, words = demo(longest=5.0)
    settings, sinks = [], {f"m{rate}": rate for rate in RATES}
    for name, rate in sinks.items():
        settings.append(
            f'[[source]]\nkind = "microphone"\nname = "{name}"\ndevice = "{name}.monitor"\n'
            f"rate = {rate}\nchannels = 2\n"
        )
    files = {name: stereo(tmp_path, samples, rate) for name, rate in sinks.items()}
    offline = [reference(tmp_path, path) for path in files.values()]
    config = tmp_path / "earmark.toml"
    config.write_text("\n".join(["worker.max_age = 60.0", *settings]))  # this machine may be busy
    arguments = [argument for path in offline for argument in ("--file", str(path))]
    done = earmarkd(*arguments, "--fast", "--once", "--events", "-")
    expected = events(done.stdout, "result")

    with Pulse() as pulse:
        for name, rate in sinks.items():
            pulse.add(name, rate=rate, channels=2, format_="s24le")
        with Daemon("--config", str(config), extra=pulse.environment) as daemon:
            daemon.until(lambda event: event["type"] == "source" and event["state"] == "listening", count=len(sinks))
            players = [pulse.play(path, name) for name, path in files.items()]
            daemon.until(lambda event: event["type"] == "result", count=len(sinks) * len(words))
            for player in players:
                player.wait(DEADLINE)

    results = [event for event in daemon.events if event["type"] == "result"]
    for name, rate in sinks.items():
        wanted, got = best(expected, f"offline{rate}"), best(results, name)
        assert [label for label, _ in got] == [label for label, _ in wanted], rate
        assert [score for _, score in got] == pytest.approx([score for _, score in wanted], abs=TOLERANCE), rate
