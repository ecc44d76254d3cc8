"""The lengths that a model takes."""

from __future__ import annotations

from earmark.checkpoints.lengths import shortest


def test_the_shortest_length_is_the_first_that_gives_a_frame() -> None:
    def frames(samples: int) -> int:
        for kernel, stride in zip((10, 3, 2), (5, 2, 2), strict=True):
            samples = (samples - kernel) // stride + 1
        return samples

    for wanted in (1, 2, 7):
        least = shortest((10, 3, 2), (5, 2, 2), wanted)
        assert (frames(least), frames(least - 1)) == (wanted, wanted - 1)
