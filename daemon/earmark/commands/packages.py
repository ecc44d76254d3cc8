"""The daemon's packages, which a client may lack."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from earmark.errors import EarmarkError


@contextmanager
def needs_daemon_packages(command: str) -> Iterator[None]:
    """Import the daemon's code inside this context. Raises EarmarkError with the remedy if a package is missing."""
    try:
        yield
    except ImportError as error:
        raise EarmarkError(f"{command} needs the daemon's packages ({error}): pip install 'earmark[daemon]'") from None
