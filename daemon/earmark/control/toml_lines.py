"""The lines of a configuration that would keep what PATCHes changed."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

import msgspec

from earmark.control.steering import ClassifierStatus
from earmark.tomlfile.values import toml

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def toml_lines(status: ClassifierStatus, names: Mapping[str, Collection[str]]) -> str:
    """Return the lines for every setting that `names` has, with the value in force now.

    `names` is what Steering.unsaved() returns. The tables go below the classifier of that name. A label that has no
    threshold of its own any more has no line.
    """
    tables = [lines for group in ("vad", "decide") for lines in _tables(group, status, names.get(group, ()))]
    own = {name: getattr(status.label_set, name) for name in names.get("label_set", ()) if status.label_set}
    if not tables and not own:
        return ""
    return "\n".join([_table("[classifier]", {"name": status.name, **own}), *tables])


def _tables(group: str, status: ClassifierStatus, names: Collection[str]) -> Iterator[str]:
    values: dict[str, object] = msgspec.to_builtins(getattr(status, group))
    scalars = {name: values[name] for name in names if not isinstance(values[name], dict) or not values[name]}
    if scalars:
        yield _table(f"classifier.{group}", scalars)
    for name in names:
        inner = values[name]
        if isinstance(inner, dict) and inner:
            yield _table(f"classifier.{group}.{name}", inner)


def _table(head: str, values: Mapping[str, object]) -> str:
    lines = [f"{key if _BARE.fullmatch(key) else toml(key)} = {toml(value)}" for key, value in values.items()]
    return "\n".join([f"[{head}]", *lines, ""])
