"""The routes at which the daemon describes its interfaces."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from earmark.protocol.endpoints import ASYNCAPI
from earmark.server.responses import json_response


class Descriptions:
    """Serves the AsyncAPI document."""

    def __init__(self, asyncapi: Mapping[str, object]) -> None:
        self._asyncapi = asyncapi

    def routes(self) -> list[BaseRoute]:
        """Return the routes, which go before the daemon's own."""
        return [Route(ASYNCAPI, self._show_asyncapi)]

    async def _show_asyncapi(self, request: Request) -> Response:
        return json_response(self._asyncapi)
