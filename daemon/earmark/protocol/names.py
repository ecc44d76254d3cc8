"""Lists of names as one text, as URLs and command lines hold them.

Clients import this module, so it needs nothing but the standard library.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_NAME = re.compile(r'\s*(?:"(?P<quoted>(?:[^"]|"")*)"|(?P<plain>[^",][^,]*?)?)\s*(?P<end>,|$)', re.DOTALL)


def split(text: str) -> list[str]:
    """Return the names in `text`, which are separated by commas. Empty ones are left out.

    As in CSV, a name that holds a comma stands between double quotes, and a quote in it is doubled:
    `"Male speech, man speaking",Dog`. Raises ValueError where a quote is not closed.
    """
    names, position = [], 0
    while found := _NAME.match(text, position):
        names.append(found["plain"] or "" if found["quoted"] is None else found["quoted"].replace('""', '"'))
        if not found["end"]:
            return [name for name in names if name]
        position = found.end()
    raise ValueError("a name between double quotes must end with one, and then a comma or nothing may follow")


def join(names: Iterable[str]) -> str:
    """Return the text that split() makes `names` of."""
    return ",".join(map(quote, names))


def quote(name: str) -> str:
    """Return the name as it must stand in such a text, between double quotes if need be."""
    is_plain = name and "," not in name and not name.startswith('"') and name == name.strip()
    return name if is_plain else '"' + name.replace('"', '""') + '"'
