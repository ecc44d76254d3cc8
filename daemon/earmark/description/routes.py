"""The routes at which the daemon describes its interfaces. The OpenAPI document has its route in `api`."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from earmark.description.page import page
from earmark.protocol.endpoints import ASYNCAPI, DOCS
from earmark.server.responses import json_response
from earmark.web.routes import HEADERS


class Descriptions:
    """Serves the AsyncAPI document, and a page with it and the OpenAPI document. `digest` is that of the page."""

    def __init__(self, openapi: Mapping[str, object], asyncapi: Mapping[str, object], digest: str) -> None:
        self._asyncapi = asyncapi
        self._page = page(openapi, asyncapi, digest)

    def routes(self) -> list[BaseRoute]:
        """Return the routes, which go before the daemon's own."""
        return [Route(ASYNCAPI, self._show_asyncapi), Route(DOCS, self._show_page)]

    async def _show_asyncapi(self, request: Request) -> Response:
        return json_response(self._asyncapi)

    async def _show_page(self, request: Request) -> Response:
        headers = HEADERS | {"cache-control": "no-cache"}
        return Response(self._page, headers=headers, media_type="text/html; charset=utf-8")
