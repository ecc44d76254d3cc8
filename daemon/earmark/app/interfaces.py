"""What there is at the one port: the WebSockets, the HTTP routes, and the document that describes these."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from starlette.routing import BaseRoute

from earmark import __version__
from earmark.access.audit import Audit
from earmark.analysis.openapi import with_analysis
from earmark.api import openapi
from earmark.api.routes import Api
from earmark.app.events import Events
from earmark.app.models import Models
from earmark.archive.openapi import with_clips
from earmark.archive.routes import KeptClips
from earmark.config import settings as config
from earmark.control.history_routes import History
from earmark.control.openapi import combined
from earmark.control.routes import Control
from earmark.control.steering import Steering
from earmark.description import asyncapi
from earmark.description.openapi import completed
from earmark.description.routes import Descriptions
from earmark.detection.detectors import Detectors
from earmark.listening.sources import Listening
from earmark.protocol.endpoints import AUDIO, EVENTS
from earmark.protocol.readiness import Needs
from earmark.server.handshake import Endpoint
from earmark.server.routes import show_root
from earmark.stream.events_endpoint import events_endpoint
from earmark.stream.replayer import Replayer
from earmark.telemetry.endpoint import Metrics
from earmark.telemetry.snapshot import Snapshot
from earmark.uplink.endpoint import audio_endpoint
from earmark.web.files import load
from earmark.web.routes import page_routes


def openapi_document() -> dict[str, Any]:
    """Return the OpenAPI document of all routes."""
    clips = with_analysis(openapi.document(__version__))
    return completed(with_clips(combined(clips)))


def endpoints(
    settings: config.Server, events: Events, listening: Listening, detectors: Detectors
) -> dict[str, Endpoint]:
    """Return the WebSockets by path."""
    replayer = Replayer(events.hub, events.kept, events.recent)
    return {
        EVENTS: events_endpoint(events.hub, replayer, settings.max_subscribers),
        AUDIO: audio_endpoint(lambda: listening.networks, lambda: detectors.sources.keys()),
    }


def routes(
    events: Events,
    models: Models,
    steering: Steering,
    audit: Audit,
    document: Mapping[str, Any],
    *,
    info: Callable[[], Snapshot],
    needs: Callable[[], Needs],
) -> list[BaseRoute]:
    """Return the HTTP routes, which go before those of the server itself. Where two match a path, the first counts.

    `document` is the OpenAPI document, `info` returns the content of `/info`, and `needs` what the daemon lacks.
    """
    page = load()
    return [
        *page_routes(show_root, page),
        *Api(models.clips, models.registry, models.device, info, document).routes(),
        *Control(steering, audit).routes(),
        *History(events.kept, events.hello).routes(),
        *KeptClips(events.clips.archive, audit).routes(),
        *models.analyses.routes(),
        *Metrics(info, needs).routes(),
        *Descriptions(document, asyncapi.document(__version__), page.digest).routes(),
    ]
