"""The journal that the settings ask for, opened before everything else."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path

from earmark.config import settings as config
from earmark.config.state import state_folder
from earmark.errors import ConfigError, JournalError
from earmark.journal.folder import check_folder
from earmark.journal.journal import Journal

MB = 1_000_000

log = logging.getLogger(__name__)


@contextlib.contextmanager
def journal(settings: config.Config, environ: Mapping[str, str]) -> Iterator[Journal | None]:
    """Keep a journal until the context is left. None if the settings want none, or if it cannot be: that is told."""
    with contextlib.ExitStack() as stack:
        kept = None
        if settings.journal is not False:
            try:
                kept = stack.enter_context(_journal(settings.journal, environ))
            except (ConfigError, JournalError) as error:
                log.warning("no journal is kept: %s", error)
        yield kept


def check(settings: config.Journal | bool, environ: Mapping[str, str]) -> None:
    """Raise JournalError or ConfigError if a journal is wanted and its folder cannot be used. Makes nothing."""
    if settings is not False:
        check_folder(_folder(_chosen(settings), environ))


def _chosen(settings: config.Journal | bool) -> config.Journal:
    return settings if isinstance(settings, config.Journal) else config.Journal()


def _folder(chosen: config.Journal, environ: Mapping[str, str]) -> Path:
    return Path(chosen.path) if chosen.path else state_folder(environ)


def folder(environ: Mapping[str, str]) -> Path | None:
    """Return the folder for what is kept from one run to the next, or None for a user who has none."""
    try:
        return state_folder(environ)
    except ConfigError:
        return None


def _journal(settings: config.Journal | bool, environ: Mapping[str, str]) -> Journal:
    chosen = _chosen(settings)
    return Journal(_folder(chosen, environ), max_age=timedelta(days=chosen.max_age_days), max_bytes=chosen.max_mb * MB)
