"""Secrets and certificates in files, and the name of this machine as others may show it."""

from __future__ import annotations

import re
import ssl
import stat
from pathlib import Path

from earmark.errors import ConfigError
from earmark.plain_file import read_bytes

MAX_CA_BYTES = 10_000_000  # of a file of certificates; that of a whole system has 200 kB


def node_of(host_name: str) -> str:
    """Return the name of a machine as it may stand in a topic, a subject and in Home Assistant's identities."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", host_name.partition(".")[0]).strip("-")[:64] or "daemon"


def secret_line(path: str, where: str, what: str = "password") -> str:
    """Return the first line of the file. Raises ConfigError, which begins with `where`."""
    secret = secret_text(path, where).partition("\n")[0].rstrip("\r")
    if not secret:
        raise ConfigError(f"{where}: the first line of {path} is empty; it must be the {what}")
    return secret


def secret_text(path: str, where: str) -> str:
    """Return the whole file, which nobody but its owner may read. Raises ConfigError, which begins with `where`."""
    try:
        content, mode = read_bytes(Path(path))
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{where}: {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{where}: {path} is not text") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(f"{where}: others may read or change {path}; run: chmod 600 {path}")
    return text


def tls_context(ca: str, where: str) -> ssl.SSLContext:
    """Return what checks certificates against the file `ca`, or against those of the system if it is empty."""
    try:
        if ca:
            read_bytes(Path(ca), MAX_CA_BYTES)  # which refuses what OpenSSL would wait for, such as a pipe
        return ssl.create_default_context(cafile=ca or None)
    except ssl.SSLError:
        raise ConfigError(f"{where}: {ca} holds no certificate in PEM") from None
    except OSError as error:
        raise ConfigError(f"{where}: {ca} cannot be read: {error.strerror}") from None
