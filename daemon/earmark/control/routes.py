"""The HTTP routes that show sources and classifiers, and change them while the daemon runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from earmark.access.audit import CALLER, Audit
from earmark.control import fields
from earmark.control.audit_lines import tell
from earmark.control.body import read_object
from earmark.control.steering import Changed, ClassifierStatus, SourceStatus, Steering
from earmark.control.toml_lines import toml_lines
from earmark.errors import ConfigError, EarmarkError, RequestError
from earmark.protocol.endpoints import CLASSIFIERS, RELOAD, SOURCES
from earmark.server.responses import error_response, json_response

CLIENT_CLOSED_REQUEST = 499  # nginx logs this for a client that left; nobody reads the response
RETRY_AFTER_SECONDS = 5  # where a part of the daemon does not answer: a model process is started again

Endpoint = Callable[[Request], Awaitable[Response]]


class Control:
    """The routes over a running daemon. What is changed, and what is refused, goes to the audit log."""

    def __init__(self, steering: Steering, audit: Audit) -> None:
        self._steering = steering
        self._audit = audit

    def routes(self) -> list[BaseRoute]:
        """Return all of them."""
        one_source, one_classifier = f"{SOURCES}/{{name}}", f"{CLASSIFIERS}/{{name}}"
        return [
            Route(SOURCES, self._show_sources),
            Route(CLASSIFIERS, self._show_classifiers),
            Route(one_source, self._refusing(self._show_source)),
            Route(one_classifier, self._refusing(self._show_classifier)),
            Route(one_source, self._refusing(self._patch_source), methods=["PATCH"]),
            Route(one_classifier, self._refusing(self._patch_classifier), methods=["PATCH"]),
            Route(RELOAD, self._refusing(self._reload), methods=["POST"]),
        ]

    async def _show_sources(self, request: Request) -> Response:
        return json_response(self._steering.sources())

    async def _show_classifiers(self, request: Request) -> Response:
        return json_response(self._steering.classifiers())

    async def _show_source(self, request: Request) -> Response:
        return json_response(self._source(request))

    async def _show_classifier(self, request: Request) -> Response:
        return json_response(self._classifier(request))

    async def _patch_source(self, request: Request) -> Response:
        name = self._source(request).name
        changes = await read_object(request)
        fields.check_source(changes)
        changed = await self._steering.patch_source(name, changes)
        tell(self._audit, _caller(request), changed)
        return json_response(_answer(self._source(request), changed))

    async def _patch_classifier(self, request: Request) -> Response:
        name = self._classifier(request).name
        changes = await read_object(request)
        fields.check_classifier(changes)
        changed = await self._steering.patch_classifier(name, changes)
        tell(self._audit, _caller(request), changed)
        status = self._classifier(request)
        return json_response(_answer(status, changed) | {"toml": toml_lines(status, self._steering.unsaved(name))})

    async def _reload(self, request: Request) -> Response:
        for name in await read_object(request, may_be_empty=True):
            raise RequestError(400, f"{name[: fields.MAX_QUOTED]}: a reload takes no field")
        changed = await self._steering.reload()
        tell(self._audit, _caller(request), changed)
        return json_response(_told(changed))

    def _source(self, request: Request) -> SourceStatus:
        """Return the source that the path names. Raises RequestError 404."""
        name, known = request.path_params["name"], {source.name: source for source in self._steering.sources()}
        if name not in known:
            raise fields.unknown("source", name, known)
        return known[name]

    def _classifier(self, request: Request) -> ClassifierStatus:
        """Return the classifier that the path names. Raises RequestError 404."""
        name, known = request.path_params["name"], {each.name: each for each in self._steering.classifiers()}
        if name not in known:
            raise fields.unknown("classifier", name, known)
        return known[name]

    def _refusing(self, endpoint: Endpoint) -> Endpoint:
        """Return `endpoint` with each error made into a response, and with refused changes in the audit log."""

        async def refusing(request: Request) -> Response:
            try:
                return await endpoint(request)
            except ClientDisconnect:
                return Response(status_code=CLIENT_CLOSED_REQUEST)
            except ConfigError as error:
                refusal = RequestError(400, str(error))
            except RequestError as error:
                refusal = error
            except EarmarkError as error:  # a part does not answer, which is no fault of the request
                refusal = RequestError(503, str(error), retry_after=RETRY_AFTER_SECONDS)
            if request.method not in ("GET", "HEAD"):
                what = f"{request.method} {request.scope['path'][: fields.MAX_QUOTED]}"
                self._audit.refused(_caller(request), what, str(refusal).replace("\n", "; "))
            wait = {} if refusal.retry_after is None else {"Retry-After": str(refusal.retry_after)}
            return error_response(str(refusal), refusal.status, wait)

        return refusing


def _caller(request: Request) -> str:
    return str(request.scope["state"][CALLER])


def _answer(status: msgspec.Struct, changed: Changed) -> dict[str, object]:
    content: dict[str, object] = msgspec.to_builtins(status)
    return content | _told(changed)


def _told(changed: Changed) -> dict[str, object]:
    return {"changed": changed.changes, "restart": changed.restart}
