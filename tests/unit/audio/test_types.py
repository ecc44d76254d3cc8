from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.audio.types import Block, Closed, Opened, Span, Window, milliseconds, seconds


@pytest.mark.parametrize(
    ("position", "rate", "read"),
    [(0, 16000, 0.0), (16000, 16000, 1.0), (1, 16000, 0.0), (8, 16000, 0.001), (44100, 48000, 0.919), (5, 3, 1.667)],
)
def test_people_read_a_position_to_the_millisecond(position: int, rate: int, read: float) -> None:
    assert seconds(position, rate) == read


@given(position=st.integers(0, 10**12), rate=st.integers(1, 192_000))
def test_decisions_count_the_milliseconds_that_people_read(position: int, rate: int) -> None:
    assert milliseconds(position, rate) / 1000 == seconds(position, rate)


def test_a_sound_that_closed_was_not_cut_unless_said() -> None:
    assert Closed(5) == Closed(5, split=False) != Closed(5, split=True)


def test_a_span_is_of_a_whole_sound_unless_said() -> None:
    assert Span(0, 4, 1, 3, True) == Span(0, 4, 1, 3, True, continued=False) != Span(0, 4, 1, 3, True, continued=True)


def test_a_window_is_live_unless_said() -> None:
    assert Window("desk", "emotion", "base", Span(0, 1, 0, 1, True), np.zeros(1, np.float32), 16000, 7).live is True


def test_what_the_gate_says_is_compared_by_value_and_blocks_are_themselves() -> None:
    samples = np.zeros(4, np.float32)
    assert Opened(3) == Opened(3) != Opened(4)
    block = Block(0, samples, 16000, 7)
    assert block == block
    assert block != Block(0, samples, 16000, 7)
