"""The metrics of a gateway, in the text formats of Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from earmark.broadcast.hub import HubStats
from earmark.gateway.feed import FeedStats
from earmark.protocol.endpoints import METRICS


def metrics_routes(feed: Callable[[], FeedStats], hub: Callable[[], HubStats]) -> list[BaseRoute]:
    """Return the route at which Prometheus asks."""

    async def show(request: Request) -> Response:
        body, form = exposed(feed(), hub(), request.headers.get("accept", ""))
        return Response(body, headers={"content-type": form})

    return [Route(METRICS, show)]


def exposed(feed: FeedStats, hub: HubStats, accept: str = "") -> tuple[bytes, str]:
    """Return the metrics as text, and its content type, which the header `Accept` chooses."""
    from prometheus_client.exposition import choose_encoder  # as for the daemon, its start need not wait for this

    from earmark.gateway.families import Families

    encode, form = choose_encoder(accept)
    return encode(Families(feed, hub)), form
