"""The usual length of a window."""

from __future__ import annotations

import pytest

from earmark.checkpoints.checkpoint import Checkpoint


@pytest.mark.parametrize(
    ("window", "limit", "minimum", "usual"),
    [
        (48_000, 48_000, 1, 48_000),
        (None, None, 400, 16_000),
        (None, 10_000, 400, 10_000),
        (None, 160_000, 400, 16_000),
        (None, None, 20_000, 20_000),
    ],
)
def test_a_window_is_usually_as_long_as_the_model_or_a_second_long(
    window: int | None, limit: int | None, minimum: int, usual: int
) -> None:
    found = Checkpoint("a/b", "/a/b", ("yes",), 16_000, "whisper", None, window, limit, minimum)
    assert found.usual_length == usual
