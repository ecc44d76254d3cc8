"""Lists of names as one text, as URLs and command lines hold them.

Clients import this module, so it needs nothing but the standard library.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_SPACE = re.compile(r"\s*")
_QUOTED = re.compile(r'"([^"]*(?:""[^"]*)*)"\s*')
_UNCLOSED = "a name between double quotes must end with one, and then a comma or nothing may follow"


def split(text: str) -> list[str]:
    """Return the names in `text`, which are separated by commas. Empty ones are left out.

    As in CSV, a name that holds a comma stands between double quotes, and a quote in it is doubled:
    `"Male speech, man speaking",Dog`. Raises ValueError where a quote is not closed. Takes time in proportion to the
    length of the text, whatever it is: strangers send it.
    """
    names, end = [], -1
    while end < len(text):
        start = _space_end(text, end + 1)
        if text.startswith('"', start):
            found = _QUOTED.match(text, start)
            if found is None or text[found.end() : found.end() + 1] not in ("", ","):
                raise ValueError(_UNCLOSED)
            end = found.end()
            names.append(found[1].replace('""', '"'))
        else:
            comma = text.find(",", start)
            end = len(text) if comma < 0 else comma
            names.append(text[start:end].strip())
    return [name for name in names if name]


def _space_end(text: str, start: int) -> int:
    found = _SPACE.match(text, start)
    return found.end() if found else start


def join(names: Iterable[str]) -> str:
    """Return the text that split() makes `names` of."""
    return ",".join(map(quote, names))


def quote(name: str) -> str:
    """Return the name as it must stand in such a text, between double quotes if need be."""
    is_plain = name and "," not in name and not name.startswith('"') and name == name.strip()
    return name if is_plain else '"' + name.replace('"', '""') + '"'
