"""The file of bearer tokens."""

from __future__ import annotations

import stat
from pathlib import Path

from earmark.access.tokens import ALL_SCOPES, Tokens
from earmark.errors import ConfigError


def read(path: str) -> Tokens:
    """Return the tokens in the file, each with every scope. Without a path there are none.

    There is one on each line; empty lines and those that begin with # are skipped. Raises ConfigError if the file
    cannot be read or holds no token, or if others may read it.
    """
    if not path:
        return Tokens()
    file = Path(path)
    try:
        mode = file.stat().st_mode
        lines = [line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines()]
    except OSError as error:
        raise ConfigError(f"server.token_file: {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"server.token_file: {path} is not text") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(f"server.token_file: others may read or change {path}; run: chmod 600 {path}")
    tokens = [line for line in lines if line and not line.startswith("#")]
    if not tokens:
        raise ConfigError(f"server.token_file: {path} holds no token; write one a line")
    if any(len(token.split()) > 1 for token in tokens):
        raise ConfigError(f"server.token_file: {path} has a line with spaces in it; a token has none")
    return Tokens(dict.fromkeys(tokens, ALL_SCOPES))
