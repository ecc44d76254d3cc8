"""Where a daemon serves what, for the daemon and for its clients. Standard library only."""

from __future__ import annotations

DEFAULT_PORT = 8765
HTTPS_PORT = 443  # where a proxy serves the daemon with TLS
DEFAULT_ADDRESS = f"127.0.0.1:{DEFAULT_PORT}"

EVENTS = "/v1/events"  # a WebSocket
AUDIO = "/v1/audio"  # another one, for sound that clients send
HEALTH = "/health"
LIVE = "/live"
READY = "/ready"
INFO = "/info"
METRICS = "/metrics"
OPENAPI = "/openapi.json"
ASYNCAPI = "/asyncapi.json"
DOCS = "/docs"  # both of them, for people
MODELS = "/v1/models"
PAGE = "/page"  # the files of the page that a browser gets at "/"
SOURCES = "/v1/sources"
CLASSIFIERS = "/v1/classifiers"
RELOAD = "/v1/reload"
CLIPS = "/v1/clips"  # what is kept of the sound of labels
ANALYZE = "/v1/analyze"

SUBPROTOCOL = "earmark.v1"
"""The WebSocket subprotocol of the event stream. Offering it is optional."""

TOKEN_SUBPROTOCOL = "earmark.token."
"""A browser cannot set headers on a WebSocket; it offers this subprotocol, followed by its token in base64url."""


def wants_page(path: str, accept: str) -> bool:
    """Return whether a GET of `path` with this Accept header is for a page, which everybody may load."""
    return "text/html" in accept.lower() if path == "/" else path == DOCS or path.startswith(f"{PAGE}/")
