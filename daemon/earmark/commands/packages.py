"""The daemon's packages, which a client may lack."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec

from earmark.errors import EarmarkError

TORCH = {"torch": "daemon", "transformers": "daemon"}  # what the processes that learn and export import


@contextmanager
def needs_daemon_packages(command: str) -> Iterator[None]:
    """Import the daemon's code inside this context. Raises EarmarkError with the remedy if a package is missing."""
    try:
        yield
    except ImportError as error:
        raise EarmarkError(f"{command} needs the daemon's packages ({error}): pip install 'earmark[daemon]'") from None


def require(command: str, extras: Mapping[str, str], find: Callable[[str], object | None] = find_spec) -> None:
    """Raise EarmarkError with the remedy if a package is missing. `extras` names the extra that brings each."""
    for package, extra in extras.items():
        if find(package) is None:
            raise EarmarkError(f"{command} needs the package {package}: pip install 'earmark[{extra}]'")
