"""Prometheus' metric families of a gateway, made of what it counts. docs/scaling.md lists them."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from earmark.broadcast.hub import HubStats
from earmark.gateway.feed import FeedStats
from earmark.telemetry.metric import counter, counters, gauge


class Families(Collector):
    """The families of one moment, for an encoder of prometheus_client. Nothing is registered anywhere."""

    def __init__(self, feed: FeedStats, hub: HubStats) -> None:
        self._feed = feed
        self._hub = hub

    def collect(self) -> Iterator[Metric]:
        """Return all families."""
        feed, hub = self._feed, self._hub
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
        text = "Events that slow subscribers lost."
        yield counters("earmark_deliveries_dropped", text, "policy", hub.dropped)
        yield from ProcessCollector(registry=None).collect()
