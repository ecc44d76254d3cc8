"""A server of the Open Inference Protocol in a process of its own, with the embedded model of words behind it.

    python -m benchmarks.oip_server PORT

It has no batching between requests and no replicas: what the protocol itself costs.
"""

from __future__ import annotations

import asyncio
import sys
import threading

from earmark.audio.types import Floats
from earmark.checkpoints import reader
from earmark.placement.forecast import engine_of
from earmark.runtimes.runtime import Wanted, runtime
from tests.inference_server import InferenceServer

MODEL = "earmark/commands"
MAX_BATCH = 8


async def main(port: int) -> None:
    """Serve until the process is ended."""
    folder = reader.EMBEDDED / "commands"
    checkpoint = reader.read(folder, MODEL)
    chosen = runtime(engine_of(folder, "auto", "cpu", "fp32", lambda: False).engine)
    model = chosen.load(Wanted(MODEL, folder, len(checkpoint.labels)))
    model.warm_up(checkpoint.usual_length, MAX_BATCH)
    busy = threading.Lock()

    def classify(samples: Floats) -> Floats:
        with busy:
            return model.classify(samples)

    await InferenceServer({MODEL: classify}, port=port).start()
    print("serving", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
