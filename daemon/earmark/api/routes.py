"""The HTTP routes of the Inference API's audio classification, in all the spellings that clients have for them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Literal

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from earmark.api.clips import ClipAnswer, Clips
from earmark.api.loading import ModelLoading
from earmark.api.request import MAX_QUOTED, ErrorBody, Status
from earmark.bodies.body import read_body, while_connected
from earmark.bodies.memory import Reservation
from earmark.checkpoints.catalogue import Entry, unknown
from earmark.errors import RequestError
from earmark.inference.registry import Registry, State
from earmark.parameters.parameters import gathered
from earmark.protocol.endpoints import MODELS, OPENAPI
from earmark.server.responses import json_response

CLIENT_CLOSED_REQUEST = 499  # nginx logs this for a client that left; nobody reads the response

Endpoint = Callable[[Request], Awaitable[Response]]

CLASSIFY_PATHS = (
    "/models/{model:path}/pipeline/audio-classification",
    "/models/{model:path}/pipeline/zero-shot-audio-classification",
    "/models/{model:path}",
    "/pipeline/audio-classification/{model:path}",
    "/pipeline/zero-shot-audio-classification/{model:path}",
    "/hf-inference/models/{model:path}",
)

STATES: dict[State, Literal["Loaded", "Loading", "Loadable", "Error"]] = {
    "loaded": "Loaded",
    "loading": "Loading",
    "not loaded": "Loadable",
    "refused": "Error",
}


class Api:
    """The routes of the clip API. `device` returns what models run on, `info` the content of `/info`.

    `document` is the OpenAPI document.
    """

    def __init__(
        self,
        clips: Clips,
        registry: Registry,
        device: Callable[[], str],
        info: Callable[[], object],
        document: Mapping[str, object],
    ) -> None:
        self._clips = clips
        self._registry = registry
        self._device = device
        self._info = info
        self._document = document

    def routes(self) -> list[BaseRoute]:
        """Return all of them; they go before the daemon's own."""
        shown = {
            "/status/{model:path}": self._show_status,
            MODELS: self._show_models,
            OPENAPI: self._show_document,
            # huggingface_hub makes these from a model's URL
            "/models/{model:path}/health": self._show_health,
            "/models/{model:path}/info": self._show_info,
        }
        gets = [Route(path, refusing(endpoint)) for path, endpoint in shown.items()]
        classify = refusing(self._classify)
        posts = [Route(path, classify, methods=["POST"]) for path in CLASSIFY_PATHS]
        return [Route("/", classify, methods=["POST"]), *gets, *posts]

    async def _classify(self, request: Request) -> Response:
        try:
            with self._clips.admit(request.client.host if request.client else "") as memory:
                answer = await self._answer(self._entry(request), request, memory)
        except ClientDisconnect:
            return Response(status_code=CLIENT_CLOSED_REQUEST)
        return Response(answer.body, headers=self._headers(answer), media_type="application/json")

    async def _answer(self, entry: Entry, request: Request, memory: Reservation) -> ClipAnswer:
        body = await read_body(request, self._clips.max_body_bytes, memory)
        work = self._clips.classify(entry, body, gathered(request.query_params.multi_items()), request.headers, memory)
        del body  # `work` alone holds it, and lets go of it early
        return await while_connected(request, work)

    def _entry(self, request: Request) -> Entry:
        """Return the model that the path names, or the default one if it names none. Raises RequestError 404."""
        name = request.path_params.get("model", "").strip("/")
        if "model" not in request.path_params:
            return self._registry.default
        entry = self._registry.find(name)
        if entry is None:
            raise RequestError(404, unknown(name[:MAX_QUOTED], self._registry.names))
        return entry

    def _headers(self, answer: ClipAnswer) -> Mapping[str, str]:
        headers = {"x-compute-type": self._device(), "x-compute-audio-length": f"{round(answer.audio, 3):.10g}"}
        if answer.work is not None:
            headers["x-compute-time"] = f"{answer.work:.3f}"
        if answer.warning:
            headers["x-audio-warning"] = answer.warning
        return headers

    async def _show_status(self, request: Request) -> Response:
        status = await self._registry.status(self._entry(request))
        error = status.reason or None
        return json_response(
            Status(status.state == "loaded", STATES[status.state], self._device(), "transformers", error)
        )

    async def _show_models(self, request: Request) -> Response:
        return json_response(await self._registry.infos())

    async def _show_document(self, request: Request) -> Response:
        return json_response(self._document)

    async def _show_health(self, request: Request) -> Response:
        self._entry(request)
        return json_response({"status": "ok"})

    async def _show_info(self, request: Request) -> Response:
        self._entry(request)
        return json_response(self._info())


def refusing(endpoint: Endpoint) -> Endpoint:
    """Return `endpoint` with each RequestError that it raises made into a response."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except RequestError as error:
            headers = {} if error.retry_after is None else {"retry-after": str(error.retry_after)}
            estimate = error.estimate if isinstance(error, ModelLoading) else None
            return json_response(ErrorBody(str(error), estimate, error.reason), error.status, headers)

    return answer
