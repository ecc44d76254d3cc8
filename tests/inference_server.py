"""A server of the Open Inference Protocol in this process, whose models are functions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import grpc
import grpc.aio
import numpy as np

from earmark.audio.types import Floats
from earmark.errors import EarmarkError
from earmark.remote import open_inference
from earmark.remote.messages import Described, infer_response, samples_of, texts_of
from earmark.serving.servicer import add_to_server

Model = Callable[[Floats], Floats]


def levels(samples: Floats) -> Floats:
    """A model of two labels: the mean of a window, and its highest sample."""
    return np.stack([samples.mean(axis=1), samples.max(axis=1)], axis=1)


class InferenceServer:
    """Serves `models` at a port of this machine, a free one if 0. Each call's metadata and batch are noted.

    `held` keeps the answers to ModelInfer back until it is set; `failure` makes them fail with a status.
    """

    def __init__(
        self, models: Mapping[str, Model], told: Mapping[str, Described] | None = None, *, port: int = 0
    ) -> None:
        self.models = dict(models)
        self.told = dict(told or {})
        self.readers: dict[str, Callable[[Sequence[str]], Floats]] = {}  # of texts, by model
        self.port = port
        self.batches: list[int] = []
        self.metadata: list[dict[str, str]] = []
        self.most_at_once = 0
        self.held = asyncio.Event()
        self.held.set()
        self.failure: Any = None
        self.no_such_model: Any = None  # a status that ModelReady fails with for a model that is not there
        self.unready: Any = None  # a status that ModelReady fails with
        self._at_once = 0
        self._server: Any = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def start(self, credentials: Any = None) -> None:
        self._server = grpc.aio.server(options=[("grpc.max_receive_message_length", -1), ("grpc.so_reuseport", 0)])
        add_to_server(self, self._server)
        if credentials is None:
            self.port = self._server.add_insecure_port(self.address)
        else:
            self.port = self._server.add_secure_port(self.address, credentials)
        await self._server.start()

    async def stop(self) -> None:
        """End at once: calls in flight fail."""
        await self._server.stop(None)

    async def ModelReady(self, request: Any, context: Any) -> Any:
        if self.unready is not None:
            await context.abort(self.unready, "told not to be ready")
        if self.no_such_model is not None and request.name not in self.models:
            await context.abort(self.no_such_model, "no such model")
        return open_inference.ModelReadyResponse(ready=request.name in self.models)

    async def ModelInfer(self, request: Any, context: Any) -> Any:
        self.metadata.append(dict(context.invocation_metadata()))
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            if (texts := texts_of(request)) is not None:
                told = self.told.get(request.model_name, Described())
                return infer_response(request, self.readers[request.model_name](texts), told)
            samples = samples_of(request)
            self.batches.append(len(samples))
            await self.held.wait()
            if self.failure is not None:
                await context.abort(self.failure, "told to fail")
            logits = self.models[request.model_name](samples)
            return infer_response(request, logits, self.told.get(request.model_name, Described()))
        except EarmarkError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        finally:
            self._at_once -= 1
