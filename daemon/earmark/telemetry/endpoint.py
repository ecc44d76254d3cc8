"""The HTTP route of the metrics, in the text format of Prometheus or in that of OpenMetrics."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from earmark.protocol.endpoints import METRICS
from earmark.protocol.readiness import Needs
from earmark.telemetry.snapshot import Snapshot


class Metrics:
    """Answers scrapes, one at a time. The text is made on another thread: for many sources it takes milliseconds."""

    def __init__(self, snapshot: Callable[[], Snapshot], needs: Callable[[], Needs]) -> None:
        self._snapshot = snapshot
        self._needs = needs
        self._one_at_a_time = asyncio.Lock()

    def routes(self) -> list[BaseRoute]:
        """Return the route, which goes before the daemon's own."""
        return [Route(METRICS, self._show)]

    async def _show(self, request: Request) -> Response:
        async with self._one_at_a_time:
            accept = request.headers.get("accept", "")
            body, form = await asyncio.to_thread(exposed, self._snapshot(), self._needs(), accept)
        return Response(body, headers={"content-type": form})


def exposed(snapshot: Snapshot, needs: Needs, accept: str = "") -> tuple[bytes, str]:
    """Return the metrics as text, and its content type, which the header `Accept` chooses."""
    from prometheus_client.exposition import choose_encoder  # 50 ms, which the daemon's start need not wait for

    from earmark.telemetry.families import Families

    encode, form = choose_encoder(accept)
    return encode(Families(snapshot, needs)), form
