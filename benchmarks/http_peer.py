"""The usual way to serve a classifier: transformers' pipeline in threads behind Starlette and uvicorn.

python -m benchmarks.http_peer PORT CHECKPOINT
"""

from __future__ import annotations

import io
import sys
from typing import Any

import soundfile
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


def application(checkpoint: str) -> Starlette:
    """Return an application that classifies posted clips with the checkpoint."""
    from transformers import pipeline

    classify = pipeline("audio-classification", model=checkpoint, device="cpu")

    def answer(body: bytes) -> Any:
        # Decoded here, because the pipeline would start an ffmpeg for each clip
        samples, rate = soundfile.read(io.BytesIO(body), dtype="float32")
        return classify({"raw": samples, "sampling_rate": rate}, top_k=None)

    async def post(request: Request) -> JSONResponse:
        return JSONResponse(await run_in_threadpool(answer, await request.body()))

    return Starlette(routes=[Route("/", post, methods=["POST"])])


if __name__ == "__main__":
    uvicorn.run(application(sys.argv[2]), host="127.0.0.1", port=int(sys.argv[1]), log_level="error")
