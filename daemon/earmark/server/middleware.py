"""What every HTTP request passes first: foreign headers, tokens, CORS, trailing slashes."""

from __future__ import annotations

import time
from collections.abc import Mapping

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from earmark.access.access import parse_target, scope_of
from earmark.access.audit import CALLER, Audit, caller
from earmark.access.origins import MAX_QUOTED
from earmark.access.tokens import Refusal
from earmark.perimeter.entrance import Entrance
from earmark.perimeter.refusal_log import RefusalLog
from earmark.perimeter.refusals import reason_of
from earmark.protocol import endpoints
from earmark.server.responses import error_response
from earmark.server.routes import methods_of

EXPOSED_HEADERS = (
    "x-compute-type, x-compute-time, x-compute-audio-length, x-audio-warning, "
    "link, x-earmark-epoch, x-earmark-oldest, x-earmark-next"
)
ALLOWED_HEADERS = "authorization, content-type, x-use-cache, x-wait-for-model, x-load-model"
TWO_LENGTHS = "Content-Length and Transfer-Encoding are both there: it is not certain where the body ends"
PREFLIGHT_SECONDS = "600"  # for which a browser may remember the answer to a preflight


class AccessMiddleware:
    """Refuse foreign Host and Origin headers and wrong tokens, answer OPTIONS, and let allowed pages read answers.

    `refused` is told of each refusal, and `audit` of that of a request that would have changed the daemon. `responses`
    counts the answers by status.
    """

    def __init__(self, app: Starlette, entrance: Entrance, refused: RefusalLog, audit: Audit) -> None:
        self._app = app
        self._entrance = entrance
        self._refused = refused
        self.responses: dict[int, int] = {}
        self._audit = audit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        entrance, send = self._entrance, self._counted(send)
        access, headers = entrance.access, Headers(scope=scope)
        authority, path = parse_target(scope["path"])
        peer, port = scope.get("client") or ("", 0)
        client = entrance.client(peer, headers.getlist)
        scope = {**scope, "client": (client.address, port), "scheme": client.scheme or scope["scheme"]}
        scope["path"] = access.own_path(path).rstrip("/") or "/"
        wanted = scope_of(scope["method"], scope["path"])
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        refusal = entrance.refuse_origin(client, hosts, origins, authority, scope.get("http_version", "1.1"))
        if refusal is None:
            send = _shared(send, headers.get("origin"))
        if _needs_token(scope):  # who has none learns nothing else
            shown, now = headers.getlist("authorization"), time.monotonic()
            refusal = entrance.refuse_token(client, wanted, shown, (), now) or refusal
        if refusal is None:
            refusal = entrance.refuse_remote(client, wanted, hosts, origins, authority)
        token = access.tokens.find(headers.get("authorization"))
        scope["state"] = {**scope.get("state", {}), CALLER: caller(token.name if token else None, client.address)}
        if refusal is None and "content-length" in headers and "transfer-encoding" in headers:
            refusal = Refusal(400, TWO_LENGTHS)
        if refusal is not None:
            self._refused.add(refusal.reason or reason_of(refusal.status), client.address)
            if wanted == "admin":
                what = f"{scope['method']} {scope['path'][:MAX_QUOTED]}"
                self._audit.refused(scope["state"][CALLER], what, refusal.error)
            # where one request ends may be in doubt, so no other follows on the connection
            close = {"connection": "close"} if refusal.status == 400 else {}
            await error_response(refusal.error, refusal.status, refusal.headers | close)(scope, receive, send)
        elif access.prefix and path == access.prefix and scope["method"] in ("GET", "HEAD"):
            query = scope["query_string"].decode("latin-1")  # behind "/", where the page's own addresses begin
            location = f"{access.prefix}/{'?' if query else ''}{query}"
            await Response(status_code=308, headers={"location": location})(scope, receive, send)
        elif scope["method"] == "OPTIONS":
            await self._options(scope)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _counted(self, send: Send) -> Send:
        async def count(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.responses[message["status"]] = self.responses.get(message["status"], 0) + 1
            await send(message)

        return count

    def _options(self, scope: Scope) -> Response:
        """Answer OPTIONS, which needs no token: a browser sends none. An unknown path allows nothing else."""
        methods = {"OPTIONS"} | methods_of(self._app.routes, scope)
        return Response(status_code=204, headers={"allow": ", ".join(sorted(methods))})


def _needs_token(scope: Scope) -> bool:
    """Return whether a request needs a token, if there are any.

    A browser's preflight, a probe, and the page need none: a browser has no token before it has the page.
    """
    method, path = scope["method"], scope["path"]
    if method == "OPTIONS" or path in (endpoints.HEALTH, endpoints.LIVE, endpoints.READY):
        return False
    return method not in ("GET", "HEAD") or not endpoints.wants_page(path, Headers(scope=scope).get("accept", ""))


def _shared(send: Send, origin: str | None) -> Send:
    """Return `send` with the headers added that let a page of `origin`, which is allowed, read the answer."""
    if origin is None:
        return send
    cors: Mapping[str, str] = {
        "access-control-allow-origin": origin,
        "access-control-allow-methods": "GET, HEAD, POST, PATCH, DELETE, OPTIONS",
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
