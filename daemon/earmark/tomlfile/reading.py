"""A settings file: TOML in, what a function makes of its tables out, or sentences that say what to mend."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from earmark.errors import ConfigError
from earmark.tomlfile.lines import located, twice

T = TypeVar("T")

MAX_CHARACTERS = 1_000_000  # of a file: a reload must not read what somebody put there by mistake, a recording say

_PLACE = re.compile(r"\(at line (\d+), column (\d+)\)")
_TEXT = 'a text stands between straight double quotes: "like this"'
# what stands where TOML expects a value, or the end of the line after one, and what its writer should have written
_INSTEAD_OF_A_VALUE = (
    (re.compile(r"true|false", re.IGNORECASE), "write true and false in small letters"),
    (re.compile(r"(?:none|null|nil)\b", re.IGNORECASE), "there is no such value; leave the setting out"),
    (re.compile(r"\.\d"), "write a number with all its digits: 0.8"),
    (re.compile(r"[^\W\d]|[/~.“”„‘’«»]"), _TEXT),
)
_AFTER_A_VALUE = (
    (re.compile(r",\d"), "write a number with a point: 0.8"),
    (re.compile(r"[^\W\d]|%"), "write a number without its unit"),
    (re.compile(r":"), _TEXT),
)


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
        raise ConfigError(f"{path}: not valid TOML: {error}{_meant(str(error), text)}") from None
    except ConfigError as error:
        raise ConfigError("\n".join(located(str(path), text, line) for line in str(error).splitlines())) from None


def _meant(complaint: str, text: str) -> str:
    """Return what the writer may have meant at the place of the mistake, as the end of a sentence; or nothing."""
    if complaint.startswith("Cannot overwrite"):
        return f"; {again}" if (again := twice(text)) else ""
    if complaint.startswith("Cannot declare"):
        return "; it stands twice: put its settings together, or write [[…]] where there may be several"
    if complaint.startswith("Cannot mutate"):
        return "; it has its value already, in a line such as `source = []`: keep one of the two"
    if complaint.startswith(("Unescaped", "Invalid hex")):
        return "; between single quotes, as in 'C:\\folder', a backslash means itself"
    if (found := _PLACE.search(complaint)) is None or not complaint.startswith(("Invalid value", "Expected newline")):
        return ""
    slips = _INSTEAD_OF_A_VALUE if complaint.startswith("Invalid value") else _AFTER_A_VALUE
    rest = text.replace("\r\n", "\n").split("\n")[int(found[1]) - 1][int(found[2]) - 1 :]
    return next((f"; {advice}" for slip, advice in slips if slip.match(rest)), "")
