"""The configuration file: TOML in, a checked Config out, or one sentence that says what to mend."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import inspect

from earmark.config.settings import Config, Model
from earmark.errors import ConfigError
from earmark.hints import did_you_mean

_AT = re.compile(r" - at `(key in )?\$?(?P<path>[^`]*)`$")
_MISSING = re.compile(r"Object missing required field `(?P<field>[^`]*)`")
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<field>[^`]*)`")


def load(path: Path) -> Config:
    """Read a configuration file. Raises ConfigError with the file, the table, the key and the nearest known key."""
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
    """Return the configuration in TOML tables, checked as a whole. Raises ConfigError."""
    try:
        config = msgspec.convert(tables, Config)
    except msgspec.ValidationError as error:
        raise ConfigError(_explain(str(error), tables)) from None
    for complaint in complaints(config):
        raise ConfigError(complaint)
    return config


def complaints(config: Config) -> Iterator[str]:
    """Yield a sentence for each mistake that the types of the settings cannot express."""
    for table, items in (("source", config.source), ("classifier", config.classifier), ("model", config.model)):
        for name, count in Counter(item.name for item in items).items():
            if count > 1:
                yield f'{table}: {count} are named "{name}"; names must differ'
    yield from _models(config.model)
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
        chosen = classifier.decide
        if classifier.mode == "sliding" and chosen.off > chosen.on:
            yield f"{where}.decide.off: {chosen.off} is above on = {chosen.on}; a label goes off below where it goes on"
        if classifier.gate == "open" and classifier.mode == "utterance":
            yield f'{where}.mode: an open gate never closes, so no utterance ever ends; set mode = "sliding"'
        if classifier.max_window and classifier.max_window < classifier.window:
            yield f"{where}.max_window: {classifier.max_window} s is shorter than window = {classifier.window} s"


def _models(models: Sequence[Model]) -> Iterator[str]:
    names = Counter(name for model in models for name in {model.name, *model.aliases})
    for name, count in names.items():
        if count > 1 and sum(model.name == name for model in models) < 2:
            yield f'model: "{name}" is the name or alias of {count} models; names must differ'
    if sum(model.default for model in models) > 1:
        yield f"model: {sum(model.default for model in models)} are the default; there can be one"


def _explain(message: str, tables: dict[str, Any]) -> str:
    """Turn msgspec's message into `source[0].rate: 0 is not a sample rate (Hz, 8000 to 192000)`."""
    at = _AT.search(message)
    path = at["path"].lstrip(".") if at else ""
    text = message[: at.start()] if at else message
    if unknown := _UNKNOWN.match(text):
        return f"{_join(path, unknown['field'])}: no such setting{_nearest(unknown['field'], _fields(path, tables))}"
    if missing := _MISSING.match(text):
        path, text = _join(path, missing["field"]), "is missing"
        choices = _choices(path, tables)
        return f"{path}: {text}" + (f"; one of {', '.join(choices)}" if choices else "")
    value, description = _value(path, tables), _description(path, tables)
    if choices := _choices(path, tables):
        return f"{path}: {value!r} is none of {', '.join(choices)}"
    if description:
        return f"{path}: {value!r} is not {description}"
    it_is = f" (it is {value!r})" if isinstance(value, str | int | float) else ""
    return f"{path or 'the file'}: {text[:1].lower()}{text[1:]}{it_is}"


def _join(path: str, field: str) -> str:
    return f"{path}.{field}" if path else field


def _fields(path: str, tables: dict[str, Any]) -> list[str]:
    """Return the names of the settings that the table at `path` may have."""
    found = _bare(_type(path, tables))
    return [field.encode_name for field in found.fields] if isinstance(found, inspect.StructType) else []


def _choices(path: str, tables: dict[str, Any]) -> list[str]:
    """Return the words that may stand at `path`, or nothing if its type is no choice of words."""
    found = _bare(_type(path, tables))
    if isinstance(found, inspect.LiteralType):
        return [str(value) for value in found.values]
    parent, _, field = path.rpartition(".")
    table = _type(parent, tables)
    kinds = table.types if isinstance(table, inspect.UnionType) else ()
    tags = [(kind.tag_field, kind.tag) for kind in kinds if isinstance(kind, inspect.StructType)]
    return [str(tag) for name, tag in tags if name == field]


def _description(path: str, tables: dict[str, Any]) -> str:
    """Return the description of the type at `path`, or an empty string."""
    found = _type(path, tables)
    extra = found.extra_json_schema if isinstance(found, inspect.Metadata) else None
    return str(extra["description"]) if extra and "description" in extra else ""


def _type(path: str, tables: dict[str, Any]) -> Any:
    """Return the type of the value at `path`, and of a tagged union the member that the table's `kind` names."""
    found: Any = inspect.type_info(Config)
    at = ""
    for part in _parts(path):
        at = f"{at}[{part}]" if part.isdigit() or part == "..." else _join(at, part)
        inner = _bare(found)
        if isinstance(inner, inspect.StructType):
            found = next((field.type for field in inner.fields if field.encode_name == part), None)
        else:
            found = getattr(inner, "item_type", None)
        found = _member(found, _value(at, tables))
    return found


def _member(found: Any, table: Any) -> Any:
    """Return the member of a union of tables that is meant, or the X of `X | None`."""
    if not isinstance(found, inspect.UnionType):
        return found
    named = table.get("kind") if isinstance(table, dict) else None
    for kind in found.types:
        if isinstance(kind, inspect.StructType) and named is not None and kind.tag == named:
            return kind
    others = [kind for kind in found.types if not isinstance(kind, inspect.NoneType)]
    return others[0] if len(others) == 1 else found


def _bare(found: Any) -> Any:
    """Return the type without its limits."""
    return found.type if isinstance(found, inspect.Metadata) else found


def _parts(path: str) -> list[str]:
    return [part for part in re.split(r"\.(?!\.)|[\[\]]+", path) if part.strip(".")] if "..." not in path else []


def _value(path: str, tables: Any) -> Any:
    """Return the value at a path such as `source[0].rate`, or None."""
    for part in _parts(path):
        try:
            tables = tables[int(part)] if isinstance(tables, list) else tables[part]
        except (KeyError, IndexError, ValueError, TypeError):
            return None
    return tables


def _nearest(word: str, known: list[str]) -> str:
    """Return the known name that was meant, or all of them, as the end of a sentence."""
    hint = did_you_mean(word, known, cutoff=0.5) or (f"there are: {', '.join(known)}" if known else "")
    return f"; {hint}" if hint else ""
