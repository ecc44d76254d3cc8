"""The routes of the clip API, asked without a socket."""

from __future__ import annotations

import json

import numpy as np

from tests.clips import MODEL, ClipBench, play
from tests.posting import LABELS, RATE, encoded

UNKNOWN = b'{"error":"Model no/model does not exist; there are earmark/commands, earmark/emotion, earmark/sounds"}'


def counts(bench: ClipBench) -> tuple[int, int]:
    """Return how many requests were answered and refused."""
    stats = bench.clips.stats()
    return stats.answered, stats.refused


def test_posting_a_clip_counts_and_looking_at_models_does_not() -> None:
    async def scene(bench: ClipBench) -> None:
        for path in ("/status/no/model", "/models/no/model/health", "/models/no/model/info"):
            assert await bench.ask("GET", path) == (404, UNKNOWN)
        status, body = await bench.ask("GET", f"/status/{MODEL}")
        assert (status, json.loads(body)["state"]) == (200, "Loaded")
        assert counts(bench) == (0, 0)

        assert (await bench.ask("POST", "/models/no/model", b"RIFF"))[0] == 404
        assert (await bench.ask("POST", "/", b"no audio"))[0] == 400
        assert counts(bench) == (0, 2)

        status, body = await bench.ask("POST", f"/models/{MODEL}", encoded(np.zeros(RATE, np.int16)))
        assert (status, json.loads(body)[0]["label"]) == (200, LABELS[0])
        assert counts(bench) == (1, 2)

    play(scene)
