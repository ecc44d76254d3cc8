"""A settings file: TOML in, what a function makes of its tables out, or sentences that say what to mend."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from earmark.config.lines import located
from earmark.errors import ConfigError

T = TypeVar("T")

MAX_CHARACTERS = 1_000_000  # of a file: a reload must not read what somebody put there by mistake, a recording say


def read(path: Path, make: Callable[[dict[str, Any]], T], *, kind: str, absent: str, may_be_empty: bool = True) -> T:
    """Return what `make` makes of the tables in the file.

    `kind` says what the file is, such as "a routes file", and `absent` what to do without it. Raises ConfigError with
    the file, and for what `make` raises also with the line; several mistakes are a line each.
    """
    text = ""
    try:
        with path.open(encoding="utf-8-sig") as file:  # it may be a pipe, such as that of `<(…)`
            text = file.read(MAX_CHARACTERS + 1)
        if len(text) > MAX_CHARACTERS:
            text = ""
            raise ConfigError(f"has more than {MAX_CHARACTERS} characters, so it is not {kind}")
        if not text.strip() and not may_be_empty:
            raise ConfigError(f"{path}: is empty, as while an editor writes it; restart the daemon for the defaults")
        return make(tomllib.loads(text))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; {absent}") from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: is a folder, not {kind}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    except RecursionError:
        raise ConfigError(f"{path}: not valid TOML: nested too deeply") from None
    except ValueError as error:  # a TOMLDecodeError, or an integer of more than 4300 digits
        raise ConfigError(f"{path}: not valid TOML: {error}") from None
    except ConfigError as error:
        raise ConfigError("\n".join(located(str(path), text, line) for line in str(error).splitlines())) from None
