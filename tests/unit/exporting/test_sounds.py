from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from earmark.errors import SourceError
from earmark.exporting.sounds import MOST_CLIPS, clips, synthetic

RATE = 16000


@pytest.mark.parametrize("length", [560, RATE, 3 * RATE + 7])
def test_sounds_that_are_made_up_are_the_same_each_time_and_all_different(length: int) -> None:
    made = synthetic(RATE, length)
    assert made.dtype == np.float32
    assert made.shape[1] == length
    assert np.array_equal(made, synthetic(RATE, length))
    assert len({row.tobytes() for row in made}) == len(made)
    assert np.isfinite(made).all()
    assert np.abs(made).max() <= 1


def test_they_are_of_many_levels_and_one_is_silent() -> None:
    levels = np.sqrt((synthetic(RATE, RATE) ** 2).mean(axis=1))
    assert levels.min() == 0
    assert levels.max() > 0.2
    assert (levels < 0.002).sum() >= 10


def write(file: Path, seconds: float, rate: int = RATE) -> None:
    file.parent.mkdir(exist_ok=True)
    soundfile.write(file, np.linspace(0.1, 0.5, int(seconds * rate)), rate)


def test_recordings_are_cut_into_windows_and_short_ones_are_padded(tmp_path: Path) -> None:
    write(tmp_path / "a" / "long.wav", 3.5)
    write(tmp_path / "short.flac", 0.25, rate=8000)
    (tmp_path / "notes.txt").write_text("no sound")
    found = clips(tmp_path, RATE, RATE)
    assert found.shape == (4, RATE)
    padded = found[(found == 0).any(axis=1)]
    assert len(padded) == 1
    assert np.all(padded[0, RATE // 4 :] == 0)


def test_of_many_windows_some_of_every_part_are_taken(tmp_path: Path) -> None:
    for number in range(3):
        write(tmp_path / f"{number}.wav", 0.01 * MOST_CLIPS)
    found = clips(tmp_path, RATE, RATE // 100)
    assert len(found) == 3 * (MOST_CLIPS // 3)


def test_a_folder_without_recordings_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="holds no recordings"):
        clips(tmp_path, RATE, RATE)
