"""The name of the application of Ray Serve that serves a model: who serves and who asks must agree on it."""

from __future__ import annotations


def application(model: str) -> str:
    """Return the name of the application that serves a model: its id, with - in the place of the slash."""
    return model.replace("/", "-")
