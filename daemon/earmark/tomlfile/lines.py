"""Where in a configuration file a setting stands."""

from __future__ import annotations

import re
from collections.abc import Sequence

from earmark.visible import with_unseen

_HEADER = re.compile(r"\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(#.*)?$")
_KEY = re.compile(r"""\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*=""")
_SENTENCE = re.compile(r"(?P<key>[a-z][a-z_]*(\[\d+\])?(\.[^\s:\[\]]+(\[\d+\])?)*): ")

Path = tuple[str, ...]


def located(file: str, text: str, sentence: str) -> str:
    """Return a sentence that begins with a key, `source[0].rate: …`, with the file and the line of that key.

    Where the key does not stand, the line is that of the nearest table around it; without any, no line is told.
    """
    found = _SENTENCE.match(sentence)
    line = line_of(text, found["key"]) if found else None
    return f"{file}: {sentence}" if line is None else f"{file}, line {line}: {sentence}"


def in_one_line(sentence: str) -> str:
    """Return the sentence with a line break, or another character that cannot be printed, as TOML escapes it.

    Keys of TOML may hold any character, and each mistake is told in one line.
    """
    return with_unseen(sentence, lambda char: char.encode("unicode_escape").decode())


def line_of(text: str, key: str) -> int | None:
    """Return the number of the line, from 1, where `source[0].rate` stands, or the table that should hold it."""
    wanted = _parts(key)
    best, depth = None, 0
    for number, path in _keys(text):
        both = min(len(path), len(wanted))
        common = both if path[:both] == wanted[:both] else 0
        if common > depth:
            best, depth = number, common
    return best


def twice(text: str) -> str:
    """Return which setting stands twice, and in which lines; or nothing."""
    first: dict[Path, int] = {}
    for number, path in _keys(text):
        if (before := first.setdefault(path, number)) != number:
            return f"{path[-1]} stands in line {before} and again in line {number}"
    return ""


def _keys(text: str) -> list[tuple[int, Path]]:
    """Return each header and key with the number of its line. Tables in a list have their index as a part."""
    found: list[tuple[int, Path]] = []
    counts: dict[str, int] = {}
    table: Path = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            names = _split(header[2])
            if header[1] == "[[" and len(names) == 1:
                counts[names[0]] = counts.get(names[0], -1) + 1
            index = (str(counts[names[0]]),) if names[0] in counts else ()
            table = (names[0], *index, *names[1:])
            found.append((number, table))
        elif key := _KEY.match(line):
            found.append((number, (*table, *_split(key[1]))))
    return found


def _split(dotted: str) -> Sequence[str]:
    return [name.strip().strip("\"'") for name in dotted.split(".")]


def _parts(key: str) -> Path:
    return tuple(part for part in re.split(r"[.\[\]]+", key) if part)
