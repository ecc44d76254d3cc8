"""The routes of the page. Everybody may load it, because it holds no data: what it shows it asks for with a token."""

from __future__ import annotations

import gzip
from collections.abc import Awaitable, Callable
from functools import cache

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from earmark.protocol.endpoints import PAGE, wants_page
from earmark.server.responses import error_response
from earmark.web.files import File, Page, load

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "permissions-policy": "microphone=(self), camera=(), geolocation=()",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
FOR_EVER = "public, max-age=31536000, immutable"

Handler = Callable[[Request], Awaitable[Response]]


def page_routes(otherwise: Handler, page: Page | None = None) -> list[BaseRoute]:
    """Return the routes of the page. A program that asks for `/` gets the answer of `otherwise`."""
    page = page or load()

    @cache
    def packed(name: str) -> bytes:
        return gzip.compress(page.files[name].content, mtime=0)

    async def show_index(request: Request) -> Response:
        if not wants_page("/", request.headers.get("accept", "")):
            answer = await otherwise(request)
        else:
            # the index names the files by their hash, so it is asked for anew each time
            headers = HEADERS | {"cache-control": "no-cache", "etag": f'"{page.digest}"'}
            known = request.headers.get("if-none-match", "")
            status = 304 if page.digest in known else 200
            answer = Response(b"" if status == 304 else page.index, status, headers, "text/html; charset=utf-8")
        answer.headers["vary"] = "accept"
        return answer

    async def show_file(request: Request) -> Response:
        name = request.path_params["name"]
        file: File | None = page.files.get(name) if request.path_params["digest"] == page.digest else None
        if file is None:
            return error_response("no such file of the page; load the page anew", 404)
        headers = HEADERS | {"cache-control": FOR_EVER, "vary": "accept-encoding"}
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(packed(name), 200, headers | {"content-encoding": "gzip"}, file.media_type)
        return Response(file.content, 200, headers, file.media_type)

    return [Route("/", show_index), Route(PAGE + "/{digest}/{name:path}", show_file)]
