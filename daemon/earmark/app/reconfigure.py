"""Changing the daemon while it runs: a reload of its configuration, a patch of a classifier, a pause of a source."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass

from earmark.access.access import Access
from earmark.access.audit import Audit
from earmark.access.tokens import tokens_changed
from earmark.app.loading import load
from earmark.audio.types import Nanoseconds
from earmark.changes.difference import LABEL_SET, Difference, difference, different, steps
from earmark.changes.patch import TABLES, patched, without_table
from earmark.checkpoints.catalogue import Entry, catalogue
from earmark.checkpoints.checkpoint import Checkpoint, Scoring
from earmark.checkpoints.reader import embedded
from earmark.config import settings as config
from earmark.config.sources import File
from earmark.control.audit_lines import tell
from earmark.control.steering import Change, Changed, ClassifierStatus, SourceStatus, classifier_status, shown
from earmark.detection.detectors import Detectors
from earmark.detection.draft import Draft
from earmark.errors import ConfigError, EarmarkError, WorkerError
from earmark.inference.engine import Engine
from earmark.inference.registry import Registry
from earmark.listening.live import Live
from earmark.listening.plan import Plan, checkpoints_of, default_model, plan, scorings
from earmark.listening.sources import Listening
from earmark.perimeter.certificate import Pair
from earmark.protocol.events import Config, ConfigCause
from earmark.publish.publishing import Logins, Publishing, logins
from earmark.recordings.recording import check
from earmark.server.server import read_entry
from earmark.supervision.systemd import notify
from earmark.telemetry.snapshot import ReloadStats
from earmark.zeroshot.text_vectors import TextVectors

log = logging.getLogger(__name__)

RETIRE_SECONDS = 3.0  # for windows of removed classifiers: more than worker.max_age has by default


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A configuration that was read and checked as far as that is possible before anything changes."""

    found: Difference
    entries: dict[str, Entry]
    plans: dict[str, Plan]
    spare: tuple[Checkpoint, ...]  # the default model, where there is no classifier
    logins: Logins


class Reconfigurer:
    """Steering. It changes one thing at a time, and what cannot be done changes nothing. On the event loop.

    `read` reads the configuration again. `admit` puts another Access and certificate in force, and returns the Access
    before and the certificate, if it was another; `functions` are those of Live, `vectors` reads labels, and
    `keep_clips` goes by other settings of clips. What a signal changes goes to the audit log; of all else, who asked
    for it tells.
    """

    def __init__(
        self,
        settings: config.Config,
        read: Callable[[], config.Config],
        *,
        listening: Listening,
        detectors: Detectors,
        live: Live,
        engine: Engine,
        registry: Registry,
        publishing: Publishing,
        admit: Callable[[Access, Pair | None], tuple[Access, Pair | None]],
        functions: dict[str, Scoring],
        vectors: TextVectors,
        publish: Callable[[Sequence[Draft]], None],
        audit: Audit | None = None,
        keep_clips: Callable[[config.Clips], None] = lambda settings: None,
        clock: Callable[[], Nanoseconds] = time.monotonic_ns,
    ) -> None:
        self.settings = settings
        self._written = settings  # in the configuration, as it was read last and taken
        self._read = read
        self._listening = listening
        self._detectors = detectors
        self._live = live
        self._engine = engine
        self._registry = registry
        self._publishing = publishing
        self._admit = admit
        self._audit = audit or Audit()
        self._keep_clips = keep_clips
        self._functions = functions
        self._vectors = vectors
        self._publish = publish
        self._clock = clock
        self._lock = asyncio.Lock()
        self._listening_lock = asyncio.Lock()  # for the part of a change that begins when its models are loaded
        self._begun = asyncio.Event()
        self._asked = asyncio.Event()  # by a signal
        self._applied = self._refused = 0  # reloads
        self._in_force = True  # whether the configuration is the one that was read last

    @property
    def plans(self) -> Mapping[str, Plan]:
        """The plans in force."""
        return self._listening.plans

    def begin(self) -> None:
        """Take requests from now on."""
        self._begun.set()

    def ask(self) -> None:
        """Have the configuration read again soon. Requests that come before that happens count as one."""
        self._asked.set()

    async def serve_signals(self) -> None:
        """Reload whenever ask() was called. Ends by being cancelled."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            try:
                tell(self._audit, "SIGHUP", await self.reload())
            except (ConfigError, WorkerError) as error:  # the latter comes while models are loaded, before any change
                for line in str(error).splitlines():
                    log.error("not reloaded, nothing has changed: %s", line)
            except EarmarkError as error:  # a part of the daemon does not answer, in the middle of the change
                log.error("reloaded only in part: %s; reload again", error)
            except Exception:
                log.exception("the reload met an error")

    def stats(self) -> ReloadStats:
        """Return the counts of reloads."""
        return ReloadStats(self._applied, self._refused, self._in_force)

    def sources(self) -> tuple[SourceStatus, ...]:
        """Return every source, its state and its settings. One that a reload has removed already is left out."""
        found: list[SourceStatus] = []
        for settings in self.settings.source:
            if settings.name not in self._detectors.sources:
                continue
            state, paused = self._detectors.sources[settings.name], self._listening.is_paused(settings.name)
            found.append(
                SourceStatus(
                    settings.name, state.state, state.device, state.rate, state.detail, paused, shown(settings)
                )
            )
        return tuple(found)

    def classifiers(self) -> tuple[ClassifierStatus, ...]:
        """Return every classifier and the settings in force."""
        return tuple(
            classifier_status(
                each.info,
                each.settings.decide,
                each.vad,
                each.reserved,
                each.settings.groups,
                each.settings.verify,
            )
            for each in self.plans.values()
        )

    def unsaved(self, name: str) -> Mapping[str, Sequence[str]]:
        """Return the settings of a classifier that PATCHes changed since the configuration was read."""
        now, written = (
            next(each for each in settings.classifier if each.name == name)
            for settings in (self.settings, self._written)
        )
        names = [name for name in LABEL_SET if getattr(written, name) != getattr(now, name)]
        own = {"label_set": names} if names else {}
        return own | {table: different(getattr(written, table), getattr(now, table)) for table in TABLES}

    async def reload(self) -> Changed:
        """Read the configuration again and apply it.

        Raises ConfigError, or WorkerError if the model process does not serve; then nothing has changed. Raises
        EarmarkError if another part of the daemon does not answer; then only some of it has changed.
        """
        async with self._turn():
            notify(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")
            try:
                settings = await asyncio.to_thread(self._read)
                changed = await self._apply(settings, "reload")
                self._written = settings
            except Exception:
                self._refused, self._in_force = self._refused + 1, False
                raise
            finally:
                notify("READY=1")
            self._applied, self._in_force = self._applied + 1, True
            for key in changed.restart:
                log.warning("%s: takes effect at the next start of the daemon", key)
            keys = ", ".join(change.key for change in changed.changes)
            log.info("reloaded: %s", keys or "nothing has changed")
            return changed

    async def patch_classifier(self, name: str, changes: Mapping[str, object]) -> Changed:
        """Change `decide`, `vad` and the label set of a classifier.

        Raises ConfigError, which names the setting, and WorkerError if the model process cannot read the labels now.
        """
        async with self._turn():
            index = next(
                (index for index, each in enumerate(self.settings.classifier) if each.name == name),
                None,
            )
            if index is None:
                raise ConfigError(f'there is no classifier "{name}"')
            try:
                labels = self.plans[name].info.labels
                return await self._apply(patched(self.settings, name, changes, labels), "api")
            except ConfigError as error:
                raise ConfigError(without_table(str(error), index)) from None

    async def patch_source(self, name: str, changes: Mapping[str, object]) -> Changed:
        """Pause a source or let it go on, even while another change waits for models. Raises ConfigError."""
        await self._begun.wait()
        async with self._listening_lock:
            if all(source.name != name for source in self.settings.source):
                raise ConfigError(f'there is no source "{name}"')
            for key in changes:
                if key != "paused":
                    raise ConfigError(f"{key}: only paused can be changed; write it in the configuration, and reload")
            paused = changes.get("paused")
            if paused is None:
                return Changed()
            if not isinstance(paused, bool):
                raise ConfigError("paused: it must be true or false")
            before = self._listening.is_paused(name)
            await self._listening.pause(name, paused)
            if before == paused:
                return Changed()
            await self._live.until_retired(RETIRE_SECONDS)
            self._tell("api")
            return Changed((Change(f"source[{name}].paused", before, paused),))

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Wait until the daemon listens and no other change is under way."""
        await self._begun.wait()
        async with self._lock:
            yield

    async def _apply(self, settings: config.Config, cause: ConfigCause) -> Changed:
        wanted = await asyncio.to_thread(self._check, settings)
        entry = await asyncio.to_thread(read_entry, wanted.found.config.server) if cause == "reload" else None
        checkpoints = checkpoints_of(wanted.plans.values())
        checkpoints |= {checkpoint.name: checkpoint for checkpoint in wanted.spare}
        before = checkpoints_of(self.plans.values()).keys()
        new = {name: each for name, each in checkpoints.items() if name not in before}
        plans = await load(self._engine, self._vectors, new, wanted.plans)
        async with self._listening_lock:
            found = wanted.found
            self._functions |= scorings(plans.values())
            self._engine.require(checkpoints.keys())
            going = steps(self.settings, found.config)
            # Those who hear of other labels must hear it before the first result with them, perhaps the next window
            relabelled = going.relabelled(self.settings, found.config)
            if self._listening.relabel({name: plans[name] for name in relabelled}):
                self._tell(cause)
            told = self._config(cause) if relabelled else None
            await self._listening.change(going, plans, found.config.source)
            self._keep_clips(found.config.clips)
            self.settings = found.config
            entered = self._replace_access(*entry) if entry is not None else ()
            self._registry.replace(wanted.entries, default_model(found.config))
            await self._live.until_retired(RETIRE_SECONDS)
            if found.changes and self._config(cause) != told:
                self._tell(cause)
            await self._publishing.change(found.config.publish, wanted.logins)
            forgotten = (self._engine.state.loaded | self._engine.state.loading) - wanted.entries.keys()  # by requests
            for name in (before - checkpoints.keys() - {self._registry.default.id}) | forgotten:
                self._engine.unload(name)
            return Changed((*found.changes, *entered), found.restart)

    def _replace_access(self, access: Access, pair: Pair | None) -> tuple[Change, ...]:
        before, replaced = self._admit(access, pair)
        tokens = tuple(Change(*each) for each in tokens_changed(before.tokens, access.tokens))
        return tokens if replaced is None else (*tokens, Change("server.certificate_file", str(replaced), str(pair)))

    def _check(self, settings: config.Config) -> _Wanted:
        """Read what the settings name. On another thread. Raises ConfigError."""
        known = checkpoints_of(self.plans.values())

        @functools.cache
        def read(entry: Entry) -> Checkpoint:
            return entry.named(known[entry.id]) if entry.id in known else entry.read()

        found = difference(self.settings, settings, embedded())
        entries = catalogue(found.config)
        try:
            plans = [plan(found.config, index, entries, read) for index in range(len(found.config.classifier))]
            spare = () if plans else (read(entries[default_model(found.config)]),)
            present = {source.name: source for source in self.settings.source}
            for source in found.config.source:
                if isinstance(source, File) and present.get(source.name) != source:
                    check(source.path, source.channel)
        except EarmarkError as error:
            raise error if isinstance(error, ConfigError) else ConfigError(str(error)) from None
        return _Wanted(found, entries, {each.name: each for each in plans}, spare, logins(found.config.publish))

    def _tell(self, cause: ConfigCause) -> None:
        self._publish([Draft(self._config(cause), self._clock())])

    def _config(self, cause: ConfigCause) -> Config:
        sources = tuple(self._detectors.sources.values())
        return Config(0, "", sources, tuple(each.info for each in self.plans.values()), cause)
