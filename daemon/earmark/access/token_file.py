"""The file of bearer tokens."""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

from earmark.access import token_lines
from earmark.access.tokens import Token, Tokens
from earmark.errors import ConfigError
from earmark.plain_file import read_bytes

log = logging.getLogger(__name__)


def read(path: str) -> Tokens:
    """Return the tokens in the file. Without a path there are none, and none is needed.

    A file that holds no token lets nobody in: the last one may have been revoked. Raises ConfigError if the file cannot
    be read, if others may read it, or if a line of it is wrong.
    """
    if not path:
        return Tokens()
    try:
        if not os.path.lexists(path):
            raise ConfigError(f"there is no {path}; make it with: earmark token new NAME --file {shlex.quote(path)}")
        tokens = entries(Path(path))
    except ConfigError as error:
        raise ConfigError(f"server.token_file: {error}") from None
    if not tokens:
        log.warning("server.token_file: %s holds no token, so nobody is let in; `earmark token new` makes one", path)
    if plain := sum(not token.name for token in tokens):
        log.info(
            "server.token_file: %s has %d without a name; they allow all but `admin`; `earmark token new` makes others",
            path,
            plain,
        )
    return Tokens(tokens, required=True)


def entries(path: Path) -> list[Token]:
    """Return the tokens in the file. Raises ConfigError as read() does."""
    try:
        content, mode = read_bytes(path)
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not text") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(f"others may read or change {path}; run: chmod 600 {path}")
    try:
        return token_lines.parse(text)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def change(path: Path, edit: Callable[[str], str]) -> None:
    """Replace the file's text by what `edit` makes of it, at once and under a lock. An absent file has no text.

    The file keeps its owner, and nobody else may read it. Raises ConfigError, also what `edit` raises.
    """
    import fcntl  # not on Windows, where the other commands of `earmark` run

    path = Path(os.path.realpath(path))  # a link stays one
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)  # of the folder: the file itself is replaced
            before = read_bytes(path)[0].decode("utf-8-sig") if path.exists() else ""
            _replace(path, edit(before))
        finally:
            os.close(folder)
    except OSError as error:
        raise ConfigError(f"{path} cannot be changed: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not text") from None
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def _replace(path: Path, text: str) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # has mode 0600
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            with contextlib.suppress(FileNotFoundError, PermissionError):
                owner = path.stat()
                os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
