"""The lines of a configuration that would keep what a PATCH changed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import msgspec

from earmark.config.toml import toml
from earmark.control.steering import ClassifierStatus

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def toml_lines(status: ClassifierStatus, changes: Mapping[str, object]) -> str:
    """Return the lines for every setting that `changes` names, with the value in force now.

    `changes` was accepted: `{"decide": {...}, "vad": {...}}`. The tables go below the classifier of that name. A label
    that has no threshold of its own any more has no line.
    """
    tables = [lines for group in ("vad", "decide") for lines in _tables(group, status, changes)]
    return "\n".join([f"[[classifier]]\nname = {toml(status.name)}\n", *tables]) if tables else ""


def _tables(group: str, status: ClassifierStatus, changes: Mapping[str, object]) -> Iterator[str]:
    named = changes.get(group)
    if not isinstance(named, Mapping):
        return
    values: dict[str, object] = msgspec.to_builtins(getattr(status, group))
    scalars = {name: values[name] for name in named if name in values and not isinstance(values[name], dict)}
    if scalars:
        yield _table(f"classifier.{group}", scalars)
    for name in named:
        inner = values.get(name)
        if isinstance(inner, dict) and inner:
            yield _table(f"classifier.{group}.{name}", inner)


def _table(head: str, values: Mapping[str, object]) -> str:
    lines = [f"{key if _BARE.fullmatch(key) else toml(key)} = {toml(value)}" for key, value in values.items()]
    return "\n".join([f"[{head}]", *lines, ""])
