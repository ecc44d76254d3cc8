"""The paths at which a daemon serves what a gateway has not: each is answered with a sentence that says so."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from earmark.protocol import endpoints
from earmark.server.responses import error_response

PATHS = (
    endpoints.AUDIO,
    endpoints.MODELS,
    "/models",
    endpoints.SOURCES,
    endpoints.CLASSIFIERS,
    endpoints.RELOAD,
    endpoints.CLIPS,
    endpoints.ANALYZE,
    endpoints.OPENAPI,
    endpoints.ASYNCAPI,
    endpoints.DOCS,
)
METHODS = ["GET", "POST", "PATCH", "PUT", "DELETE"]
SENTENCE = "this is a gateway, which has the events of daemons and nothing else; ask a daemon itself for {path}"


def elsewhere_routes() -> list[BaseRoute]:
    """Return the routes. They go before the server's own."""
    beginnings = [Route(f"{path}{rest}", _refuse, methods=METHODS) for path in PATHS for rest in ("", "/{rest:path}")]
    return [*beginnings, Route("/", _refuse, methods=["POST"])]


async def _refuse(request: Request) -> Response:
    path = next((path for path in PATHS if request.url.path.startswith(path)), "models")
    return error_response(SENTENCE.format(path=path), 404)
