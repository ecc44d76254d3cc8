"""The HTTP routes of the Inference API's audio classification, in all the spellings that clients have for them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Literal, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from earmark.api.clips import ClipAnswer, Clips, Loading
from earmark.api.memory import Reservation
from earmark.api.models import ModelStatus, Registry, State
from earmark.api.openapi import document
from earmark.api.request import SHOWN, ErrorBody, Status
from earmark.checkpoints.catalogue import Entry
from earmark.errors import RequestError
from earmark.protocol import endpoints
from earmark.server.responses import json_response

BODY_SECONDS = 60.0  # that a body may take to arrive
CLOSED = 499  # nobody is there to read it: what nginx logs for a client that left

Result = TypeVar("Result")

POSTS = (
    "/models/{model:path}/pipeline/audio-classification",
    "/models/{model:path}",
    "/pipeline/audio-classification/{model:path}",
    "/hf-inference/models/{model:path}",
)


STATES: dict[State, Literal["Loaded", "Loading", "Loadable", "Error"]] = {
    "loaded": "Loaded",
    "loading": "Loading",
    "not loaded": "Loadable",
    "refused": "Error",
}


class Api:
    """The endpoints. `device` gives what models run on, `info` what `/info` shows."""

    def __init__(
        self, clips: Clips, registry: Registry, device: Callable[[], str], info: Callable[[], object], version: str
    ) -> None:
        self._clips = clips
        self._registry = registry
        self._device = device
        self._info = info
        self._document = document(version, registry.default.id)

    def routes(self) -> list[BaseRoute]:
        """All of them; they go before the daemon's own."""
        about = [
            Route("/status/{model:path}", self._show_status),
            Route(endpoints.MODELS, self._show_models),
            Route("/openapi.json", self._show_document),
            # what huggingface_hub makes of a model's URL
            Route("/models/{model:path}/health", self._show_health),
            Route("/models/{model:path}/info", self._show_info),
        ]
        posts = [Route(path, self._classify, methods=["POST"]) for path in POSTS]
        return [Route("/", self._classify, methods=["POST"]), *about, *posts]

    async def _classify(self, request: Request) -> Response:
        try:
            entry = self._entry(request)
            share = self._clips.admit()
        except RequestError as error:
            return self._refusal(error)
        try:
            with share:
                done = await self._done(entry, request, share)
        except RequestError as error:
            return self._refusal(error)
        except ClientDisconnect:
            return Response(status_code=CLOSED)
        finally:
            self._clips.leave()
        self._clips.count_answered()
        return Response(done.body, headers=self._headers(done), media_type="application/json")

    async def _done(self, entry: Entry, request: Request, share: Reservation) -> ClipAnswer:
        body = await _body(request, self._clips.most_body, share)
        work = self._clips.classify(entry, body, request.query_params, request.headers, share)
        del body  # the work alone holds it, and lets go of it early
        return await _while_connected(request, work)

    def _entry(self, request: Request) -> Entry:
        """The model that the path names; the default one where it names none. Raises RequestError 404."""
        name = request.path_params.get("model", "").strip("/")
        if "model" not in request.path_params:
            return self._registry.default
        entry = self._registry.find(name)
        if entry is None:
            raise RequestError(404, f"Model {name[:SHOWN]} does not exist")
        return entry

    def _headers(self, done: ClipAnswer) -> Mapping[str, str]:
        headers = {"x-compute-type": self._device(), "x-compute-audio-length": f"{round(done.audio, 3):.10g}"}
        if done.work is not None:
            headers["x-compute-time"] = f"{done.work:.3f}"
        return headers

    def _refusal(self, error: RequestError) -> Response:
        self._clips.count_refused()
        headers: dict[str, str] = {}
        if error.retry_after is not None:
            headers["retry-after"] = str(error.retry_after)
        estimate = error.estimate if isinstance(error, Loading) else None
        return json_response(ErrorBody(str(error), estimate), error.status, headers)

    async def _show_status(self, request: Request) -> Response:
        try:
            entry = self._entry(request)
        except RequestError as error:
            return self._refusal(error)
        return json_response(status(self._registry.standing(entry), self._device()))

    async def _show_models(self, request: Request) -> Response:
        return json_response(self._registry.infos())

    async def _show_document(self, request: Request) -> Response:
        return json_response(self._document)

    async def _show_health(self, request: Request) -> Response:
        return await self._about_model(request, {"status": "ok"})

    async def _show_info(self, request: Request) -> Response:
        return await self._about_model(request, self._info())

    async def _about_model(self, request: Request, content: object) -> Response:
        try:
            self._entry(request)
        except RequestError as error:
            return self._refusal(error)
        return json_response(content)


def status(standing: ModelStatus, device: str) -> Status:
    """A model's standing in the words of the Inference API."""
    return Status(
        standing.state == "loaded", STATES[standing.state], device, "transformers", error=standing.why or None
    )


async def _body(request: Request, most: int, share: Reservation) -> bytes:
    """The whole body. Raises RequestError 413 as soon as it is too much, 408 where it does not come."""
    too_much = RequestError(
        413, f"the body is larger than {most // 1_000_000} MB, which is all that http.max_body_mb allows"
    )
    promised = request.headers.get("content-length", "")
    if promised.isdigit() and int(promised) > most:
        raise too_much
    body = bytearray()
    if promised.isdigit():
        share.take(int(promised))  # all of it or nothing: else ten clients could stop each other half way
    else:
        promised = ""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                if len(body) + len(chunk) > most:
                    raise too_much
                if not promised:
                    share.take(len(chunk))
                body += chunk
    except TimeoutError:
        raise RequestError(408, f"the body did not arrive within {BODY_SECONDS:g} s") from None
    return bytes(body)


async def _while_connected(request: Request, work: Awaitable[Result]) -> Result:
    """What `work` gives. A client that leaves meanwhile cancels it, and ClientDisconnect is raised."""
    working = asyncio.ensure_future(work)
    watching = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait((working, watching), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        for task in (working, watching):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task


async def _gone(request: Request) -> None:
    """Returns when the client has left. The body has been read: nothing else can come."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
