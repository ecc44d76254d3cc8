"""The configuration file: TOML in, a checked Config out, or one sentence that says what to mend."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec
from msgspec import inspect

from earmark.config.complaints import complaints, nearest
from earmark.config.lines import located
from earmark.config.settings import Command, Config, File, Journal
from earmark.errors import ConfigError

_AT = re.compile(r" - at `(key in )?\$?(?P<path>[^`]*)`$")
_MISSING = re.compile(r"Object missing required field `(?P<field>[^`]*)`")
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<field>[^`]*)`")


def load(path: Path) -> Config:
    """Read a configuration file. Paths in it that are not absolute begin in its folder.

    Raises ConfigError with the file, the line, the table, the key and the nearest known key; several mistakes are a
    line each.
    """
    text = ""
    try:
        text = path.read_text(encoding="utf-8-sig")
        return anchored(parse(tomllib.loads(text)), path.absolute().parent)
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; `earmarkd --example` lists configurations to begin with") from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: is a folder, not a configuration file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    except RecursionError:
        raise ConfigError(f"{path}: not valid TOML: nested too deeply") from None
    except ValueError as error:  # a TOMLDecodeError, or an integer of more than 4300 digits
        raise ConfigError(f"{path}: not valid TOML: {error}") from None
    except ConfigError as error:
        raise ConfigError("\n".join(located(str(path), text, line) for line in str(error).splitlines())) from None


def parse(tables: dict[str, Any]) -> Config:
    """Return the configuration in TOML tables, checked as a whole. Raises ConfigError, with a line for each mistake."""
    try:
        config = msgspec.convert(tables, Config)
    except msgspec.ValidationError as error:
        raise ConfigError(_explain(str(error), tables)) from None
    if found := list(complaints(config)):
        raise ConfigError("\n".join(found))
    return config


def anchored(config: Config, folder: Path) -> Config:
    """Return `config` with every path in it absolute: `~` is the home folder, other paths begin in `folder`.

    The program of a command is a path if it contains a slash. Raises ConfigError if this user has no home folder.
    """

    def absolute(where: str, path: str) -> str:
        expanded = os.path.expanduser(path)
        if expanded.startswith("~"):
            home = expanded.partition("/")[0]
            raise ConfigError(f"{where}: {home} is no home folder on this machine; write the whole path, or set HOME")
        return str(folder / expanded)

    replace = msgspec.structs.replace
    server = config.server
    if server.token_file:
        server = replace(server, token_file=absolute("server.token_file", server.token_file))
    journal = config.journal
    if isinstance(journal, Journal) and journal.path:
        journal = replace(journal, path=absolute("journal.path", journal.path))
    clips = config.clips
    if clips.path:
        clips = replace(clips, path=absolute("clips.path", clips.path))
    sources = list(config.source)
    for index, source in enumerate(sources):
        if isinstance(source, File):
            sources[index] = replace(source, path=absolute(f"source[{index}].path", source.path))
        elif isinstance(source, Command) and "/" in source.argv[0]:
            program = absolute(f"source[{index}].argv", source.argv[0])
            sources[index] = replace(source, argv=(program, *source.argv[1:]))
    publish = list(config.publish)
    for index, each in enumerate(publish):
        given = {name: getattr(each, name) for name in ("password_file", "ca") if getattr(each, name)}
        publish[index] = replace(
            each, **{name: absolute(f"publish[{index}].{name}", path) for name, path in given.items()}
        )
    models = tuple(
        replace(model, path=absolute(f"model[{index}].path", model.path)) if model.path is not None else model
        for index, model in enumerate(config.model)
    )
    return replace(
        config, server=server, journal=journal, clips=clips, source=tuple(sources), model=models, publish=tuple(publish)
    )


def _explain(message: str, tables: dict[str, Any]) -> str:
    """Turn msgspec's message into `source[0].rate: 0 is not a sample rate (Hz, 1000 to 768000)`."""
    at = _AT.search(message)
    path = at["path"].lstrip(".") if at else ""
    text = message[: at.start()] if at else message
    if unknown := _UNKNOWN.match(text):
        return f"{_join(path, unknown['field'])}: no such setting{nearest(unknown['field'], _fields(path, tables))}"
    if missing := _MISSING.match(text):
        path, text = _join(path, missing["field"]), "is missing"
        choices = _choices(path, tables)
        return f"{path}: {text}" + (f"; one of {', '.join(choices)}" if choices else "")
    value, description = _value(path, tables), _description(path, tables)
    if text == "Expected `array`, got `object`" and path in ("source", "model", "classifier", "publish"):
        return f"{path}: is a single table; there may be several, so write [[{path}]] with double brackets"
    if text == "Expected `object`, got `array`" and path:
        table = re.sub(r"\[\d+\]", "", path)
        return f"{path}: is a list of tables; there is one, so write [{table}] with single brackets"
    if choices := _choices(path, tables):
        return f"{path}: {value!r} is none of {', '.join(choices)}"
    if description:
        return f"{path}: {value!r} is not {description}"
    if text.startswith("Expected `str` matching"):
        return f"{path}: {value!r} contains the character NUL"
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
    table = _bare(_type(parent, tables))
    kinds = table.types if isinstance(table, inspect.UnionType) else (table,)
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
    if isinstance(table, dict):
        found = _bare(found)
    if not isinstance(found, inspect.UnionType):
        return found
    named = table.get("kind") if isinstance(table, dict) else None
    for kind in found.types:
        if isinstance(kind, inspect.StructType) and named is not None and kind.tag == named:
            return kind
    others = [kind for kind in found.types if not isinstance(kind, inspect.NoneType)]
    if isinstance(table, dict):  # a table or a bool
        others = [kind for kind in others if not isinstance(kind, inspect.BoolType)]
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
