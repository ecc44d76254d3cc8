"""The configuration file: TOML in, a checked Config out, or one sentence that says what to mend."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from earmark.config import Config
from earmark.errors import ConfigError

_AT = re.compile(r" - at `(key in )?\$?(?P<path>[^`]*)`$")
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<field>[^`]*)`")


def load(path: Path) -> Config:
    """The configuration in a file. ConfigError names the file, the table, the key, and the nearest known key."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; config/earmark.toml of the project is a good start") from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: is a folder, not a configuration file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from None
    try:
        return parse(tables)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def parse(tables: dict[str, Any]) -> Config:
    """The configuration in TOML tables, checked as a whole."""
    try:
        config = msgspec.convert(tables, Config)
    except msgspec.ValidationError as error:
        raise ConfigError(_explain(str(error), tables)) from None
    for complaint in complaints(config):
        raise ConfigError(complaint)
    return config


def complaints(config: Config) -> Iterator[str]:
    """What types alone cannot say, one sentence each."""
    for table, items in (("source", config.source), ("classifier", config.classifier), ("model", config.model)):
        for name, count in Counter(item.name for item in items).items():
            if count > 1:
                yield f'{table}: {count} are named "{name}"; names must differ'
    if not config.source:
        yield "source: there is none, so there is nothing to listen to"
    if not config.classifier:
        yield "classifier: there is none, so nothing would be recognised"
    sources = [source.name for source in config.source]
    for index, classifier in enumerate(config.classifier):
        where = f"classifier[{index}]"
        for name in classifier.sources:
            if name not in sources:
                yield f'{where}.sources: there is no source "{name}"{_nearest(name, sources)}'
        if classifier.decide.off > classifier.decide.on:
            yield f"{where}.decide.off: {classifier.decide.off} is above on = {classifier.decide.on}"
        if classifier.max_window and classifier.max_window < classifier.window:
            yield f"{where}.max_window: {classifier.max_window} s is shorter than window = {classifier.window} s"


def _explain(message: str, tables: dict[str, Any]) -> str:
    """msgspec's message as `source[0].rate: …`."""
    at = _AT.search(message)
    path = at["path"].lstrip(".") if at else ""
    text = message[: at.start()] if at else message
    if unknown := _UNKNOWN.match(text):
        field = unknown["field"]
        where = f"{path}.{field}" if path else field
        return f"{where}: no such setting{_nearest(field, _known(path, tables))}"
    value = _value(path, tables)
    text = re.sub(r"^Expected", "expected", text).replace("Object missing required field", "a setting is missing:")
    text = text.replace("Invalid value", "invalid value")
    return f"{path or 'the file'}: {text}" + (f" (it is {value!r})" if isinstance(value, str | int | float) else "")


def _known(path: str, tables: dict[str, Any]) -> list[str]:
    """The settings that the table at `path` may have."""
    kind: Any = Config
    for part in filter(None, re.split(r"[.\[\]]+", path)):
        if part.isdigit() or part == "...":
            continue
        fields = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
        kind = _struct(fields.get(part), _value(path, tables))
        if kind is None:
            return []
    return [field.encode_name for field in msgspec.structs.fields(kind)]


def _struct(annotation: Any, table: Any) -> Any:
    """The struct within an annotation; of a tagged union the one that the table's `kind` names."""
    found = [kind for kind in _flatten(msgspec.inspect.type_info(annotation)) if isinstance(kind, type)]
    named = table.get("kind") if isinstance(table, dict) else None
    for kind in found:
        if named is not None and kind.__struct_config__.tag == named:  # type: ignore[attr-defined]
            return kind
    return found[0] if found else None


def _flatten(info: Any) -> Iterator[type]:
    if isinstance(info, msgspec.inspect.StructType):
        yield info.cls
    for name in ("item_type", "types"):
        inner = getattr(info, name, ())
        for part in inner if isinstance(inner, tuple) else (inner,):
            yield from _flatten(part)


def _value(path: str, tables: Any) -> Any:
    """What stands at `source[0].rate`, or None."""
    for part in filter(None, re.split(r"[.\[\]]+", path)):
        try:
            tables = tables[int(part)] if isinstance(tables, list) else tables[part]
        except (KeyError, IndexError, ValueError, TypeError):
            return None
    return tables


def _nearest(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else (f"; there are: {', '.join(known)}" if known else "")
