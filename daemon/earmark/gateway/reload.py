"""SIGHUP at a gateway: its configuration, tokens, certificate and secrets are read again."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

import msgspec

from earmark.access.access import Access
from earmark.access.audit import Audit
from earmark.access.tokens import tokens_changed
from earmark.changes.difference import difference, different
from earmark.config.brokers import Gateway
from earmark.config.settings import Config
from earmark.control.audit_lines import tell
from earmark.control.steering import Change, Changed
from earmark.errors import EarmarkError
from earmark.gateway.feed import StreamFeed
from earmark.jetstream.login import nats_login
from earmark.perimeter.certificate import Pair
from earmark.server.server import read_entry
from earmark.supervision.systemd import notify

log = logging.getLogger(__name__)


class Reloader:
    """Applies the configuration that `read` returns, whole or not at all. On the event loop.

    All of [gateway] is taken, and of [server] what a daemon takes too. `admit` puts another Access and certificate in
    force, and returns the Access before.
    """

    def __init__(
        self,
        settings: Config,
        read: Callable[[], Config],
        feed: StreamFeed,
        admit: Callable[[Access, Pair | None], Access],
        audit: Audit,
    ) -> None:
        self._settings = settings
        self._read = read
        self._feed = feed
        self._admit = admit
        self._audit = audit
        self._asked = asyncio.Event()

    def ask(self) -> None:
        """Have the configuration read again soon."""
        self._asked.set()

    async def serve(self) -> None:
        """Reload whenever ask() was called. Ends by being cancelled."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            notify(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")
            try:
                tell(self._audit, "SIGHUP", await self._reload())
            except EarmarkError as error:
                for line in str(error).splitlines():
                    log.error("not reloaded, nothing has changed: %s", line)
            except Exception:
                log.exception("the reload met an error")
            finally:
                notify("READY=1")

    async def _reload(self) -> Changed:
        """Raises EarmarkError, and then nothing has changed."""
        settings = await asyncio.to_thread(self._read)
        found = difference(self._settings, settings)
        old, new = self._settings.gateway or Gateway(), settings.gateway or Gateway()
        login = await asyncio.to_thread(nats_login, new, "gateway")
        entry = await asyncio.to_thread(read_entry, found.config.server)
        tokens = tuple(Change(*each) for each in tokens_changed(self._admit(*entry).tokens, entry[0].tokens))
        has_new_secret = self._feed.change(new, login)
        changes = [change for change in found.changes if change.key.startswith("server.")]
        changes += [Change(f"gateway.{name}", getattr(old, name), getattr(new, name)) for name in different(old, new)]
        self._settings = msgspec.structs.replace(settings, server=found.config.server)
        restart = tuple(key for key in found.restart if key.startswith("server."))
        for key in restart:
            log.warning("%s: takes effect at the next start of the gateway", key)
        told = [*(change.key for change in (*changes, *tokens)), *(["the secret for NATS"] if has_new_secret else [])]
        log.info("reloaded: %s", ", ".join(told) or "nothing has changed")
        return Changed((*changes, *tokens), restart)
