"""The certificate and the key of the port: their files, and that they are read again when these are renewed."""

from __future__ import annotations

import asyncio
import asyncio.sslproto
import logging
import os
import ssl
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from earmark.errors import ConfigError
from earmark.perimeter.expiry import expiry
from earmark.perimeter.renewal import Look, Renewal
from earmark.plain_file import read_bytes

log = logging.getLogger(__name__)

BUFFER_BYTES = 32 * 1024  # for what is read from a connection: two records of TLS (RFC 8446, 5.1)
LOOK_SECONDS = 5.0  # between two looks at the files
PROTOCOLS = ["http/1.1"]  # that are spoken at the port, as ALPN names them
_ENCRYPTED = (b"BEGIN ENCRYPTED PRIVATE KEY", b"Proc-Type: 4,ENCRYPTED")


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """A certificate and its key as they were read: the paths, how the files looked then, and what came of them.

    `expires` is in seconds since 1970, of the certificate in the chain that does first; None if that cannot be read.
    """

    certificate: str
    key: str
    look: Look
    context: ssl.SSLContext
    expires: float | None = None

    def __str__(self) -> str:
        if self.expires is None:
            return self.certificate
        return f"{self.certificate} (expires {datetime.fromtimestamp(self.expires, UTC):%Y-%m-%d})"


def read(certificate: str, key: str, now: Callable[[], float] = time.time) -> Pair | None:
    """Return the pair in the two files, or None without paths: the port then speaks no TLS.

    One that has expired is told and used all the same: the clock may be wrong, on a machine that has just started.

    Raises ConfigError if a file cannot be read, if others may read the key, or if they do not belong together.
    """
    if not certificate:
        return None
    look = _look(certificate, key)
    chain = _check(certificate, "server.certificate_file", b"-----BEGIN CERTIFICATE-----", "certificate")
    text = _check(key, "server.key_file", b"PRIVATE KEY-----", "private key")
    if any(mark in text for mark in _ENCRYPTED):
        raise ConfigError(
            f"server.key_file: {key} is locked with a passphrase, which nobody could type; "
            f"run: openssl pkey -in {key} -out unlocked.pem"
        )
    _check_owner(key)
    asyncio.sslproto.SSLProtocol.max_size = BUFFER_BYTES  # it would hold 256 kB for each connection
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION  # which costs a server much more than a client
    context.set_alpn_protocols(PROTOCOLS)
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise ConfigError(f"server.key_file: {key} is not the key of the certificate in {certificate}") from None
        reason = (error.reason or str(error)).lower().replace("_", " ")
        raise ConfigError(f"server.certificate_file: {certificate} and {key} are no pair of use: {reason}") from None
    except OSError as error:
        raise ConfigError(f"server.certificate_file: {certificate} cannot be read: {error.strerror}") from None
    expires = expiry(chain)
    if expires is not None and expires <= now():
        log.warning("server.certificate_file: %s has expired, so clients do not connect; renew it", certificate)
    return Pair(certificate, key, look, context, expires)


class Certificate:
    """The pair in force. Connections that were made with the one before go on with that. On the event loop.

    watch() looks at the files and puts a renewed pair in force, and ends by being cancelled.
    """

    def __init__(self, pair: Pair) -> None:
        self._pair, self._renewal = pair, Renewal(pair.look)

    @property
    def context(self) -> ssl.SSLContext:
        """What a new connection speaks TLS with."""
        return self._pair.context

    @property
    def expires(self) -> float | None:
        """When it expires, in seconds since 1970, if that can be read."""
        return self._pair.expires

    def replace(self, pair: Pair) -> Pair | None:
        """Put another pair in force. Returns the one before, or None if the files have not changed."""
        before, self._pair = self._pair, pair
        self._renewal = Renewal(pair.look)
        return (
            None if (before.certificate, before.key, before.look) == (pair.certificate, pair.key, pair.look) else before
        )

    async def watch(self, every: float = LOOK_SECONDS) -> None:
        """Put each pair in force that the files come to hold. What is no pair changes nothing, and is told once."""
        while True:
            await asyncio.sleep(every)
            pair, renewal = self._pair, self._renewal
            try:
                look = await asyncio.to_thread(_look, pair.certificate, pair.key)
                if not renewal.is_due(look):
                    continue
                found = await asyncio.to_thread(read, pair.certificate, pair.key)
            except ConfigError as error:
                if renewal.is_news(str(error)):
                    log.error("the certificate was not renewed, the one before stays: %s", error)
                continue
            if found is not None and pair is self._pair:  # no reload came in between
                self.replace(found)
                log.info("the certificate was renewed from %s", found.certificate)


def _look(certificate: str, key: str) -> Look:
    """Return how the files look: certbot replaces links, others write the files anew. Raises ConfigError."""
    found: list[tuple[int, int, int]] = []
    for path, setting in ((certificate, "certificate_file"), (key, "key_file")):
        try:
            status = os.stat(path)
        except OSError as error:
            raise ConfigError(f"server.{setting}: {path} cannot be read: {error.strerror}") from None
        found.append((status.st_ino, status.st_mtime_ns, status.st_size))
    return tuple(found)


def _check(path: str, setting: str, mark: bytes, what: str) -> bytes:
    try:
        text, _ = read_bytes(Path(path))
    except OSError as error:
        raise ConfigError(f"{setting}: {path} cannot be read: {error.strerror}") from None
    if mark not in text:
        raise ConfigError(f"{setting}: {path} holds no {what} in PEM")
    return text


def _check_owner(key: str) -> None:
    """Refuse a key that others may read. The group may read a file of root's, as with systemd's credentials."""
    status = os.stat(key)
    forbidden = stat.S_IWGRP | stat.S_IRWXO | (0 if status.st_uid == 0 else stat.S_IRWXG)
    if status.st_mode & forbidden:
        raise ConfigError(f"server.key_file: others may read or change {key}; run: chmod 600 {key}")


def _no_password() -> NoReturn:
    raise ConfigError("server.key_file: the key is locked with a passphrase, which nobody could type")
