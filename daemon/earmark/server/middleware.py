"""What every HTTP request passes before anything else sees it: foreign headers, tokens, CORS, trailing slashes."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from earmark.server.access import Access
from earmark.server.responses import error_response
from earmark.server.routes import methods_of
from earmark.server.tokens import Tokens

OPEN = "/health"  # whoever watches over the daemon needs no token
EXPOSED = "x-compute-type, x-compute-time, x-compute-audio-length"
ALLOWED = "authorization, content-type, x-use-cache, x-wait-for-model, x-load-model"
PREFLIGHT_SECONDS = "600"  # that a browser may remember the answer to a preflight


class AccessMiddleware:
    """Refuses foreign Host and Origin headers and wrong tokens, answers OPTIONS, lets allowed pages read answers."""

    def __init__(self, app: Starlette, access: Access, tokens: Tokens) -> None:
        self._app = app
        self._access = access
        self._tokens = tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        if len(scope["path"]) > 1:
            scope = {**scope, "path": scope["path"].rstrip("/") or "/"}
        refusal = self._access.refusal(headers.get("host"), headers.get("origin"))
        if refusal is not None:
            await error_response(refusal, 403)(scope, receive, send)
            return
        send = _shared(send, headers.get("origin"))
        if scope["method"] == "OPTIONS":
            await self._options(scope)(scope, receive, send)
            return
        refusal = self._tokens.refusal(headers.get("authorization")) if scope["path"] != OPEN else None
        if refusal is not None:
            await error_response(refusal, 401, {"www-authenticate": "Bearer"})(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _options(self, scope: Scope) -> Response:
        """To everybody, without a token: a browser sends none with a preflight. An unknown path allows nothing else."""
        methods = {"OPTIONS"} | methods_of(self._app.routes, scope)
        return Response(status_code=204, headers={"allow": ", ".join(sorted(methods))})


def _shared(send: Send, origin: str | None) -> Send:
    """`send`, with the headers that let a page of `origin`, which is allowed, read the answer."""
    if origin is None:
        return send
    cors: Mapping[str, str] = {
        "access-control-allow-origin": origin,
        "access-control-allow-methods": "GET, HEAD, POST, OPTIONS",
        "access-control-allow-headers": ALLOWED,
        "access-control-expose-headers": EXPOSED,
        "access-control-max-age": PREFLIGHT_SECONDS,
    }

    async def share(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.update(cors)
            headers.add_vary_header("origin")
        await send(message)

    return share
