"""What every HTTP request passes first: foreign headers, tokens, CORS, trailing slashes."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from earmark.protocol import endpoints
from earmark.server.access import CurrentAccess, scope_of
from earmark.server.responses import error_response
from earmark.server.routes import methods_of

EXPOSED_HEADERS = "x-compute-type, x-compute-time, x-compute-audio-length, x-audio-warning"
ALLOWED_HEADERS = "authorization, content-type, x-use-cache, x-wait-for-model, x-load-model"
PREFLIGHT_SECONDS = "600"  # for which a browser may remember the answer to a preflight


class AccessMiddleware:
    """Refuse foreign Host and Origin headers and wrong tokens, answer OPTIONS, and let allowed pages read answers."""

    def __init__(self, app: Starlette, access: CurrentAccess) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        access = self._access.value
        headers = Headers(scope=scope)
        if len(scope["path"]) > 1:
            scope = {**scope, "path": scope["path"].rstrip("/") or "/"}
        refusal = access.refuse_origin(headers.get("host"), headers.get("origin"))
        if refusal is not None:
            await error_response(refusal.error, refusal.status)(scope, receive, send)
            return
        send = _shared(send, headers.get("origin"))
        if scope["method"] == "OPTIONS":
            await self._options(scope)(scope, receive, send)
            return
        if scope["path"] not in (endpoints.HEALTH, endpoints.READY):  # what watches over the daemon needs no token
            refusal = access.refuse_token(scope_of(scope["method"]), headers.get("authorization"))
        if refusal is not None:
            await error_response(refusal.error, refusal.status, refusal.headers)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _options(self, scope: Scope) -> Response:
        """Answer OPTIONS, which needs no token: a browser sends none. An unknown path allows nothing else."""
        methods = {"OPTIONS"} | methods_of(self._app.routes, scope)
        return Response(status_code=204, headers={"allow": ", ".join(sorted(methods))})


def _shared(send: Send, origin: str | None) -> Send:
    """Return `send` with the headers added that let a page of `origin`, which is allowed, read the answer."""
    if origin is None:
        return send
    cors: Mapping[str, str] = {
        "access-control-allow-origin": origin,
        "access-control-allow-methods": "GET, HEAD, POST, OPTIONS",
        "access-control-allow-headers": ALLOWED_HEADERS,
        "access-control-expose-headers": EXPOSED_HEADERS,
        "access-control-max-age": PREFLIGHT_SECONDS,
    }

    async def share(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.update(cors)
            headers.add_vary_header("origin")
        await send(message)

    return share
