"""One model as a deployment of Ray Serve, which answers the Open Inference Protocol.

It runs what the model process of a daemon runs. Batches of several daemons that have windows of one length go through
the network together.
"""

from __future__ import annotations

import asyncio
import functools
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from ray import serve

from earmark import __version__
from earmark.audio.types import Floats
from earmark.checkpoints import reader
from earmark.config import settings as config
from earmark.errors import ModelError, WorkerError
from earmark.remote import open_inference
from earmark.remote.application import application
from earmark.remote.messages import INPUT, OUTPUT, TEXTS, Described, infer_response, samples_of, texts_of

MAX_REQUESTS = 64  # at a replica at once; Ray's default of 5 would keep batches from growing


class ServedModel:
    """A model in a process of its own, as the protocol asks for it. Ray makes and calls it, on its event loop."""

    def __init__(self, model: str, folder: str, settings: config.Worker) -> None:
        # here, because this module is imported by who only deploys, and by Ray before there is a process to load into
        from earmark.placement import gpu, processor
        from earmark.placement.choice import precision_of
        from earmark.placement.forecast import engine_of
        from earmark.runtimes.runtime import Wanted, runtime

        self._name = model
        self._checkpoint = reader.read(Path(folder), model)
        self._described = Described(self._checkpoint.labels, self._checkpoint.rate, self._checkpoint.revision)
        self._max_batch = settings.max_batch
        engine = "auto" if settings.engine == "oip" else settings.engine
        choice = engine_of(Path(folder), engine, settings.device, settings.precision, gpu.may_be_there)
        chosen = runtime(choice.engine)
        device = chosen.choose(settings.device)
        precision = precision_of(settings.precision, device, processor.flags()).precision
        labels = len(self._checkpoint.labels)
        self._model = chosen.load(Wanted(model, Path(folder), labels, device, precision, settings.threads or 1))
        self._model.warm_up(self._checkpoint.usual_length, settings.max_batch)
        self._one_at_a_time = asyncio.Lock()

    async def ServerLive(self, request: Any) -> Any:
        return open_inference.ServerLiveResponse(live=True)

    async def ServerReady(self, request: Any) -> Any:
        return open_inference.ServerReadyResponse(ready=True)

    async def ServerMetadata(self, request: Any) -> Any:
        return open_inference.ServerMetadataResponse(name="earmark", version=__version__)

    async def ModelReady(self, request: Any) -> Any:
        return open_inference.ModelReadyResponse(ready=request.name in self._names)

    async def ModelMetadata(self, request: Any, grpc_context: Any) -> Any:
        self._require(request.name, grpc_context)
        response = open_inference.ModelMetadataResponse(name=request.name, platform="earmark")
        response.inputs.add(name=INPUT, datatype="FP32", shape=[-1, self._checkpoint.window or -1])
        response.outputs.add(name=OUTPUT, datatype="FP32", shape=[-1, len(self._checkpoint.labels) or -1])
        if self._checkpoint.takes_labels:
            response.inputs.add(name=TEXTS, datatype="BYTES", shape=[-1])
        return response

    async def ModelInfer(self, request: Any, grpc_context: Any) -> Any:
        self._require(request.model_name, grpc_context)
        try:
            if (texts := texts_of(request)) is not None:
                async with self._one_at_a_time:
                    vectors = await asyncio.to_thread(self._model.encode, texts)
                return infer_response(request, vectors, self._described)
            samples = samples_of(request)
        except (ModelError, WorkerError) as error:
            grpc_context.set_code(grpc.StatusCode.INVALID_ARGUMENT)
            grpc_context.set_details(str(error))
            raise
        return infer_response(request, await self._gathered(samples), self._described)

    @functools.cached_property
    def _names(self) -> set[str]:
        """The model may be asked for by its id, and as Triton would have it, without a slash."""
        return {self._name, application(self._name)}

    def _require(self, name: str, context: Any) -> None:
        if name not in self._names:
            context.set_code(grpc.StatusCode.NOT_FOUND)
            context.set_details(f"{name} is not served here, but {self._name}")
            raise ModelError(f"{name} is not served here, but {self._name}")

    @serve.batch(max_batch_size=MAX_REQUESTS, batch_wait_timeout_s=0)  # type: ignore[untyped-decorator]
    async def _gathered(self, requests: list[Floats]) -> list[Floats]:
        """Return the logits of each request. Those that came while the model was busy are classified together."""
        answers: list[Floats] = [np.empty(0, np.float32)] * len(requests)
        by_length: dict[int, list[int]] = {}
        for place, samples in enumerate(requests):
            by_length.setdefault(samples.shape[1], []).append(place)
        async with self._one_at_a_time:
            for places in by_length.values():
                together = np.concatenate([requests[place] for place in places])
                logits = await asyncio.to_thread(self._classify, together)
                ends = np.cumsum([len(requests[place]) for place in places])
                for place, part in zip(places, np.split(logits, ends[:-1]), strict=True):
                    answers[place] = part
        return answers

    def _classify(self, samples: Floats) -> Floats:
        starts = range(0, len(samples), self._max_batch)
        return np.concatenate([self._model.classify(samples[start : start + self._max_batch]) for start in starts])


# Decorated here and not above the class: a class that is pickled while its module is imported takes messages along
Deployment = serve.deployment(max_ongoing_requests=MAX_REQUESTS)(ServedModel)
