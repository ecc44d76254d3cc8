"""The HTTP routes of the one port. Every answer is JSON, every error an object with the string `error`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

EVENTS_PATH = "/v1/events"

Ready = Callable[[], Mapping[str, object] | None]
Info = Callable[[], object]


def application(ready: Ready, info: Info, routes: Sequence[BaseRoute] = ()) -> Starlette:
    """Our own routes, after `routes`. `ready` gives None, or what is missing by name; `info` what `/info` shows."""

    async def show_health(request: Request) -> Response:
        return json_response({"status": "ok"})

    async def show_ready(request: Request) -> Response:
        missing = ready()
        if missing is None:
            return json_response({"ready": True})
        return json_response({"ready": False, "error": f"not ready: {', '.join(missing)}", "missing": missing}, 503)

    async def show_info(request: Request) -> Response:
        return json_response(info())

    async def refuse_plain(request: Request) -> Response:
        text = f"{EVENTS_PATH} is a WebSocket; connect to it with a WebSocket client"
        return json_response({"error": text}, 426, {"upgrade": "websocket", "connection": "upgrade"})

    own = [
        Route("/", show_root),
        Route("/health", show_health),
        Route("/ready", show_ready),
        Route("/info", show_info),
        Route(EVENTS_PATH, refuse_plain),
    ]
    app = Starlette(routes=[*routes, *own], exception_handlers={HTTPException: _refused, Exception: _failed})
    app.router.redirect_slashes = False
    return app


async def show_root(request: Request) -> Response:
    """What there is, for whoever opens the address in a browser."""
    return json_response(
        {"name": "earmark", "events": EVENTS_PATH, "info": "/info", "health": "/health", "ready": "/ready"}
    )


def json_response(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """`content` as JSON: anything that msgspec encodes."""
    return Response(msgspec.json.encode(content), status, headers, media_type="application/json")


async def _refused(request: Request, error: Exception) -> Response:
    """404, 405 with its Allow header, and whatever else a route refuses."""
    assert isinstance(error, HTTPException)
    return json_response({"error": error.detail}, error.status_code, error.headers)


async def _failed(request: Request, error: Exception) -> Response:
    return json_response({"error": "internal error; the daemon's log has the details"}, 500)
