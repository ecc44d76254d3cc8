"""The HTTP routes of the daemon itself. Every answer is JSON, and every error an object with the string `error`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope

from earmark.protocol import endpoints
from earmark.protocol.readiness import PURPOSES, Needs, answer
from earmark.server.responses import error_response, json_response

Ready = Callable[[], Needs]
Info = Callable[[], object]
Live = Callable[[], Sequence[str]]

MAX_QUOTED = 100  # characters of a parameter that an error repeats


def application(ready: Ready, info: Info, routes: Sequence[BaseRoute] = (), live: Live = lambda: ()) -> Starlette:
    """Return the application: `routes`, and after them the daemon's own.

    `ready` returns what each purpose of the daemon needs, `info` the content of `/info`, and `live` a sentence for each
    part that makes no progress any more.
    """

    async def show_health(request: Request) -> Response:
        return json_response({"status": "ok"})

    async def show_live(request: Request) -> Response:
        stuck = "; ".join(live())
        return json_response({"live": False, "error": stuck}, 503) if stuck else json_response({"live": True})

    async def show_ready(request: Request) -> Response:
        asked = request.query_params.get("for")
        purpose = next((name for name in PURPOSES if name == asked), None)
        if asked is not None and purpose is None:
            return error_response(f"for: {asked[:MAX_QUOTED]!r} is none of {', '.join(PURPOSES)}", 400)
        return json_response(*answer(ready(), purpose))

    async def show_info(request: Request) -> Response:
        return json_response(info())

    async def refuse_plain(request: Request) -> Response:
        text = f"{request.url.path} is a WebSocket; connect to it with a WebSocket client"
        return error_response(text, 426, {"upgrade": "websocket", "connection": "upgrade"})

    own = [
        Route("/", show_root),
        Route(endpoints.HEALTH, show_health),
        Route(endpoints.LIVE, show_live),
        Route(endpoints.READY, show_ready),
        Route(endpoints.INFO, show_info),
        Route(endpoints.AUDIO, refuse_plain),
    ]
    app = Starlette(routes=[*routes, *own], exception_handlers={HTTPException: _refused, Exception: _failed})
    app.router.redirect_slashes = False
    return app


async def show_root(request: Request) -> Response:
    """Tell a person who opens the address in a browser what there is."""
    return json_response(
        {
            "name": "earmark",
            "events": endpoints.EVENTS,
            "info": endpoints.INFO,
            "health": endpoints.HEALTH,
            "live": endpoints.LIVE,
            "ready": endpoints.READY,
        }
    )


def methods_of(routes: Iterable[BaseRoute], scope: Scope) -> set[str]:
    """Return the methods that the path in `scope` answers to, over all routes: several may share a path."""
    methods: set[str] = set()
    for route in routes:
        if isinstance(route, Route) and route.matches(scope)[0] is not Match.NONE:
            methods |= route.methods or set()
    return methods


async def _refused(request: Request, error: Exception) -> Response:
    """Answer 404, 405 with its Allow header, and every other refusal of a route."""
    assert isinstance(error, HTTPException)
    if error.status_code != 405:
        return error_response(error.detail, error.status_code, error.headers)
    methods = methods_of(request.app.routes, request.scope)  # starlette names those of one route
    return error_response(error.detail, 405, {"allow": ", ".join(sorted(methods))})


async def _failed(request: Request, error: Exception) -> Response:
    return error_response("internal error; the daemon's log has the details", 500)
