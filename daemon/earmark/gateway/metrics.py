"""The metrics of a gateway, in the text formats of Prometheus. docs/scaling.md lists them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

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
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
    from prometheus_client.exposition import choose_encoder
    from prometheus_client.process_collector import ProcessCollector
    from prometheus_client.registry import Collector

    class Families(Collector):
        def collect(self) -> Iterator[Metric]:
            gauge, counter = GaugeMetricFamily, CounterMetricFamily
            yield gauge("earmark_gateway_connected", "1 while NATS is connected, else 0.", float(feed.connected))
            yield gauge("earmark_gateway_behind", "Events of the stream that have not come yet.", feed.behind)
            yield gauge("earmark_gateway_nodes", "Daemons that have told of themselves.", feed.nodes)
            yield gauge("earmark_gateway_nodes_silent", "Those of which nothing is heard.", feed.silent)
            yield counter("earmark_gateway_connects", "Connections that NATS took.", feed.connects)
            yield counter("earmark_gateway_gaps", "Numbers without an event.", feed.gaps)
            yield counter("earmark_gateway_stalls", "Consumers that went silent.", feed.stalls)
            yield gauge("earmark_subscribers", "Subscribers now.", hub.subscribers)
            yield counter("earmark_published", "Events that were published.", hub.published)
            yield counter("earmark_deliveries", "Events that were sent to subscribers.", hub.delivered)
            dropped = counter("earmark_deliveries_dropped", "Events that slow subscribers lost.", None, ("policy",))
            for policy, count in hub.dropped.items():
                dropped.add_metric((policy,), count)
            yield dropped
            yield from ProcessCollector(registry=None).collect()

    encode, form = choose_encoder(accept)
    return encode(Families()), form
