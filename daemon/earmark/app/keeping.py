"""What the settings ask to be kept: the journal, opened before everything else, and clips."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from earmark.archive import folder as archive
from earmark.archive.archive import Archive
from earmark.archive.keeper import Capture, Keeper
from earmark.config import settings as config
from earmark.config.state import state_folder
from earmark.errors import ArchiveError, ConfigError, JournalError
from earmark.journal.folder import check_folder
from earmark.journal.journal import Journal, JournalStats
from earmark.listening.plan import Plan
from earmark.protocol.events import ClassifierInfo

MB = 1_000_000
CLIPS = "clips"  # a folder in that of the journal
MOST_NAMED = 12  # labels of a classifier in a sentence

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class NoJournal:
    """A journal that is wanted and could not be opened, and why."""

    reason: str

    def stats(self) -> JournalStats:
        """Return what `/info` shows of it."""
        return JournalStats("error", f"none is kept until a restart: {self.reason}", "", *(0,) * 7)


@contextlib.contextmanager
def journal(settings: config.Config, environ: Mapping[str, str]) -> Iterator[Journal | NoJournal | None]:
    """Keep a journal until the context is left. None if the settings want none. If it cannot be, that is told."""
    with contextlib.ExitStack() as stack:
        kept: Journal | NoJournal | None = None
        if settings.journal is not False:
            try:
                kept = stack.enter_context(_journal(settings.journal, environ))
            except (ConfigError, JournalError) as error:
                log.warning("no journal is kept: %s", error)
                kept = NoJournal(str(error))
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


def clips_folder(settings: config.Clips, environ: Mapping[str, str]) -> Path | None:
    """Return the folder of clips, or None if the settings name none and there is no home folder."""
    if settings.path:
        return Path(settings.path)
    state = folder(environ)
    return None if state is None else state / CLIPS


def told(where: Path | None, classifiers: Iterable[ClassifierInfo]) -> str:
    """Return the sentence that says which clips are kept and where, or an empty one if none is."""
    kept = {each.name: each.clips for each in classifiers if each.clips}
    if not kept:
        return ""
    labels = "; ".join(
        f"{name}: {', '.join(clips[:MOST_NAMED])}{' and others' if len(clips) > MOST_NAMED else ''}"
        for name, clips in kept.items()
    )
    return f"the sound of what is detected is kept in {where} ({labels})"


def check_clips(settings: config.Config, environ: Mapping[str, str]) -> str:
    """Return the folder if clips are wanted, else nothing. Raises ArchiveError if it cannot be used. Makes nothing."""
    if not any(classifier.clips for classifier in settings.classifier):
        return ""
    chosen = clips_folder(settings.clips, environ)
    if chosen is None:
        raise ArchiveError("this user has no home folder; set clips.path to a folder")
    archive.check_folder(chosen)
    return str(chosen)


class ClipKeeping:
    """Owns the archive of clips, and the sink that gives it the sound of labels. On the event loop.

    The caller enters `archive`, which has a thread of its own. No clip is kept before the first change(). `capture`
    reads the sound of a source, and `plans` returns the classifiers in force. `on_trouble` is called on that thread,
    with a sentence when clips begin to be lost.
    """

    def __init__(
        self,
        settings: config.Clips,
        environ: Mapping[str, str],
        capture: Capture,
        plans: Callable[[], Mapping[str, Plan]],
        *,
        on_trouble: Callable[[str], None],
    ) -> None:
        self.told = ""  # which clips are kept, as a sentence
        self.archive = Archive(clips_folder(settings, environ), settings, on_trouble=on_trouble)
        self.keeper = Keeper(settings, capture, self.archive, self._rate_of)
        self._plans = plans

    def change(self, settings: config.Clips) -> str:
        """Keep the clips that the plans in force ask for, from now on. Returns a sentence if that changed."""
        infos = {name: plan.info for name, plan in self._plans().items()}
        before, now = self.told, told(self.archive.path, infos.values())
        self.archive.change(settings, wanted=bool(now))
        self.keeper.change(settings, infos)
        self.told = now
        if before == now:
            return ""
        return now or f"clips are kept no more; those in {self.archive.path} stay until they are too old or deleted"

    def _rate_of(self, classifier: str) -> int | None:
        plan = self._plans().get(classifier)
        return None if plan is None else plan.checkpoint.rate
