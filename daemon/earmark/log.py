"""Logging for an operator: one line when a state changes, on standard error."""

from __future__ import annotations

import logging
import os
import sys

from earmark.columns import printable

_PRIORITY = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}


class _Plain(logging.Formatter):
    """Formats without what a terminal would obey: names come from devices, checkpoints and clients."""

    def __init__(self, form: str, datefmt: str | None = None, *, clear: str = "") -> None:
        super().__init__(form, datefmt)
        self._clear = clear

    def format(self, record: logging.LogRecord) -> str:
        return self._clear + "\n".join(map(printable, super().format(record).split("\n")))


class _Journal(_Plain):
    """Formats for systemd's journal, which adds the time and takes the priority from `<N>` (sd-daemon(3))."""

    def format(self, record: logging.LogRecord) -> str:
        return f"<{_PRIORITY.get(record.levelno, 5)}>{super().format(record)}"


def set_up(*, verbose: bool = False) -> None:
    """Send log records to standard error: INFO of Earmark, with `verbose` DEBUG, and WARNING of the libraries."""
    handler = logging.StreamHandler(sys.stderr)
    if "JOURNAL_STREAM" in os.environ:
        handler.setFormatter(_Journal("%(message)s"))
    else:
        clear = "\x1b[K" if sys.stderr.isatty() and os.environ.get("TERM") != "dumb" else ""  # of what is being loaded
        handler.setFormatter(_Plain("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S", clear=clear))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("earmark").setLevel(logging.DEBUG if verbose else logging.INFO)
