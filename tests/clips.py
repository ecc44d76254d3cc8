"""The clip API without a server, a model process or models, for tests: requests by hand, answers of a FakeEngine."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from starlette.applications import Starlette

from earmark.api.clip_scorer import ClipScorer
from earmark.api.clips import ClipAnswer, Clips
from earmark.api.routes import Api
from earmark.audio.types import Floats, Samples
from earmark.checkpoints.catalogue import catalogue
from earmark.config import settings as config
from earmark.inference.batch import Batcher
from earmark.inference.dispatch import Dispatcher
from earmark.inference.registry import Registry
from earmark.zeroshot.text_vectors import TextVectors
from tests.engines import FakeEngine
from tests.posting import LABELS

MODEL = config.DEFAULT_MODEL


def logits(batch: Sequence[Samples]) -> Floats:
    """Every window is the first label."""
    found = np.zeros((len(batch), len(LABELS)), np.float32)
    found[:, 0] = 9
    return found


@dataclass
class ClipBench:
    """The parts of the clip API; the embedded model is loaded, so to speak."""

    engine: FakeEngine
    registry: Registry
    clips: Clips
    app: Starlette

    async def classify(
        self, body: bytes, query: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> ClipAnswer:
        """Answer a request whose body has been read."""
        with self.clips.admit() as memory:
            memory.take(len(body))
            return await self.clips.classify(self.registry.default, body, query or {}, headers or {}, memory)

    async def ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """Ask the application without a socket, and return status and body."""
        sent: list[Any] = []
        asked = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def receive() -> Any:
            found = next(asked, None)
            if found is None:
                await asyncio.Event().wait()
            return found

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": method, "path": path, "headers": [], "query_string": b""}
        await self.app(scope, receive, send)
        return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


@contextlib.asynccontextmanager
async def clip_bench(settings: config.Http | None = None) -> AsyncIterator[ClipBench]:
    """Put the parts together."""
    settings = settings or config.Http()
    engine = FakeEngine(logits)
    engine.become(loaded=frozenset({MODEL}))
    registry = Registry(catalogue(config.Config()), MODEL, engine)
    dispatcher = Dispatcher(Batcher(), engine)
    async with dispatcher:
        with Clips(settings, registry, ClipScorer(dispatcher, settings.wait), TextVectors(engine)) as clips:
            api = Api(clips, registry, lambda: "cpu", lambda: {}, {})
            yield ClipBench(engine, registry, clips, Starlette(routes=api.routes()))


def play(scene: Callable[[ClipBench], Awaitable[None]], settings: config.Http | None = None) -> None:
    """Run `scene` with the clip API."""

    async def bounded() -> None:
        async with asyncio.timeout(30), clip_bench(settings) as bench:
            await scene(bench)

    asyncio.run(bounded())
