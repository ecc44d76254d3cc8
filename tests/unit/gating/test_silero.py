from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from earmark.errors import EarmarkError
from earmark.gating import silero
from earmark.gating.silero import Silero
from earmark.gating.silero_network import FRAME
from tests.signals import noise


def test_the_weights_are_read_once_for_all_that_use_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    Silero()
    monkeypatch.setattr(silero, "WEIGHTS", tmp_path / "none")
    Silero()


def test_weights_that_cannot_be_read_are_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    silero._network.cache_clear()
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"no tensors")
    monkeypatch.setattr(silero, "WEIGHTS", broken)
    with pytest.raises(EarmarkError, match=r"speech gate's weights cannot be read.*install earmark again"):
        Silero()


def test_a_forgotten_stream_and_a_forked_one_hear_alone() -> None:
    gates = Silero()
    frame = noise(FRAME, -20)
    first = gates.join()
    begun = gates.probabilities([first], [frame])
    forked = gates.fork(first)
    second = gates.probabilities([first], [frame])
    np.testing.assert_array_equal(gates.probabilities([forked], [frame]), second)
    gates.forget(first)
    np.testing.assert_array_equal(gates.probabilities([first], [frame]), begun)
    assert begun != second


def test_silence_and_the_loudest_sound_have_probabilities_without_a_warning() -> None:
    gates = Silero()
    slots = [gates.join() for _ in range(3)]
    loud = np.tile(np.array([1, -1], np.float32), FRAME // 2)
    sounds = [np.zeros(FRAME, np.float32), loud, np.ones(FRAME, np.float32)]
    for _ in range(5):
        found = gates.probabilities(slots, sounds)
        assert ((found >= 0) & (found <= 1)).all()
