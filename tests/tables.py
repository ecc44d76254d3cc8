"""The tables of a configuration, as it is documented and with anything in the place of a value."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

DOCUMENTED = Path(__file__).parents[1] / "config" / "earmark.toml"


def documented() -> tuple[dict[str, Any], dict[str, Any]]:
    """The tables of config/earmark.toml as they stand, and with the settings in comments as well."""
    text = DOCUMENTED.read_text()
    lines = [line for line in text.splitlines() if not line.startswith("#labels = {")]
    everything = "\n".join(line[1:] if line[:1] == "#" and line[1:2].strip() else line for line in lines)
    return tomllib.loads(text), tomllib.loads(everything)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
scalars = (
    st.booleans()
    | st.integers()
    | st.floats()
    | st.dates()
    | st.datetimes()
    | st.times()
    | texts
    | st.sampled_from(["", "*", "~", "~nobody/x", "/(/", "/a{99999999999}/", "[::1]", "0.0.0.0:1", "a" * 300 + ":1"])
)
anything = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3))


def keys(tables: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of each key in nested tables and lists."""
    inner = tables.items() if isinstance(tables, dict) else enumerate(tables) if isinstance(tables, list) else ()
    return [found for key, value in inner for found in ((*path, key), *keys(value, (*path, key)))]


def changed(tables: Any, path: tuple[Any, ...], value: object) -> Any:
    """A copy of the tables with another value at the path."""
    if not path:
        return value
    copy = dict(tables) if isinstance(tables, dict) else list(tables)
    copy[path[0]] = changed(copy[path[0]], path[1:], value)
    return copy
