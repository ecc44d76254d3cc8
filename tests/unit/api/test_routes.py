"""The routes of the clip API, asked without a socket."""

from __future__ import annotations

import json

import numpy as np

from earmark.api.clips import ClipStats
from tests.clips import MODEL, ClipBench, play
from tests.posting import LABELS, RATE, encoded

UNKNOWN = b'{"error":"Model no/model does not exist; there are earmark/commands, earmark/emotion, earmark/sounds"}'


def test_posting_a_clip_counts_and_looking_at_models_does_not() -> None:
    async def scene(bench: ClipBench) -> None:
        for path in ("/status/no/model", "/models/no/model/health", "/models/no/model/info"):
            assert await bench.ask("GET", path) == (404, UNKNOWN)
        status, body = await bench.ask("GET", f"/status/{MODEL}")
        assert (status, json.loads(body)["state"]) == (200, "Loaded")
        assert bench.clips.stats() == ClipStats(waiting=0, answered=0, refused=0, cached=0)

        assert (await bench.ask("POST", "/models/no/model", b"RIFF"))[0] == 404
        assert (await bench.ask("POST", "/", b"no audio"))[0] == 400
        assert bench.clips.stats() == ClipStats(waiting=0, answered=0, refused=2, cached=0)

        status, body = await bench.ask("POST", f"/models/{MODEL}", encoded(np.zeros(RATE, np.int16)))
        assert (status, json.loads(body)[0]["label"]) == (200, LABELS[0])
        assert bench.clips.stats() == ClipStats(waiting=0, answered=1, refused=2, cached=0)

    play(scene)
