"""Where a daemon serves what, for the daemon and for its clients. Standard library only."""

from __future__ import annotations

DEFAULT_PORT = 8765
HTTPS_PORT = 443  # where a proxy serves the daemon with TLS
DEFAULT_ADDRESS = f"127.0.0.1:{DEFAULT_PORT}"

EVENTS = "/v1/events"  # the one path for WebSockets
HEALTH = "/health"
READY = "/ready"
INFO = "/info"
METRICS = "/metrics"
MODELS = "/v1/models"
SOURCES = "/v1/sources"
CLASSIFIERS = "/v1/classifiers"
RELOAD = "/v1/reload"

SUBPROTOCOL = "earmark.v1"
"""The WebSocket subprotocol of the event stream. Offering it is optional."""

TOKEN_SUBPROTOCOL = "earmark.token."
"""A browser cannot set headers on a WebSocket; it offers this subprotocol, followed by its token in base64url."""
