"""What is wrong in tables of TOML that do not fit the types of their settings: a sentence that begins with the key."""

from __future__ import annotations

import copy
import re
from functools import cache
from typing import Any

import msgspec
from msgspec import inspect

from earmark.hints import nearest
from earmark.visible import is_visible

_AT = re.compile(r" - at `(key in )?\$?(?P<path>[^`]*)`$")
_MISSING = re.compile(r"Object missing required field `(?P<field>[^`]*)`")
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<field>[^`]*)`")
_EXPECTED = re.compile(r"Expected `(?P<types>[^`]*)`(, got `(?P<got>[^`]*)`| (?P<limit>[<>]=?) (?P<number>[^ ]+))")
_TYPES = {
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
}
_LIMITS = {"<=": "at most", ">=": "at least", "<": "less than", ">": "more than"}


def explained(message: str, tables: dict[str, Any], root: type) -> str:
    """Turn msgspec's message into `source[0].rate: 0 is not a sample rate (Hz, 1000 to 768000)`.

    `tables` was to become a `root`.
    """
    at = _AT.search(message)
    path, value = _named(at["path"].lstrip(".") if at else "", message, tables, root)
    text = message[: at.start()] if at else message
    if unknown := _UNKNOWN.match(text):
        return (
            f"{_join(path, unknown['field'])}: no such setting{nearest(unknown['field'], _fields(path, tables, root))}"
        )
    if missing := _MISSING.match(text):
        path, text = _join(path, missing["field"]), "is missing"
        choices = _choices(path, tables, root)
        return f"{path}: {text}" + (f"; one of {', '.join(choices)}" if choices else "")
    description = _description(path, tables, root)
    if text == "Expected `array`, got `object`" and _is_list_of_tables(_type(path, tables, root)):
        return f"{path}: is a single table; there may be several, so write [[{path}]] with double brackets"
    if text == "Expected `object`, got `array`" and isinstance(_bare(_type(path, tables, root)), inspect.DictType):
        return f"{path}: must be a table of names and values, not a list"
    if text == "Expected `object`, got `array`" and path:
        table = re.sub(r"\[\d+\]", "", path)
        return f"{path}: is a list of tables; there is one, so write [{table}] with single brackets"
    if choices := _choices(path, tables, root):
        return f"{path}: {value!r} is none of {', '.join(choices)}"
    if description:
        return f"{path}: {value!r} is not {description}"
    if text.startswith("Expected `str` matching"):
        return f"{path}: {value!r} contains the character NUL"
    it_is = f" (it is {value!r})" if isinstance(value, str | int | float) else ""
    return f"{path or 'the file'}: {_must_be(text, shown=bool(it_is))}{it_is}"


def _must_be(text: str, *, shown: bool) -> str:
    """Turn msgspec's "Expected `float` <= 1.0" into "must be at most 1", with what is there instead unless `shown`."""
    found = _EXPECTED.fullmatch(text)
    if not found:
        return f"{text[:1].lower()}{text[1:]}"
    if found["limit"]:
        return f"must be {_LIMITS[found['limit']]} {found['number'].removesuffix('.0')}"
    wanted = " or ".join(_TYPES.get(each, each) for each in found["types"].split(" | ") if each != "null")
    return f"must be {wanted}" + ("" if shown else f", not {_TYPES.get(found['got'], found['got'])}")


def _named(path: str, message: str, tables: dict[str, Any], root: type) -> tuple[str, Any]:
    """Return the path and its value, with the name of an entry for the `[...]` that msgspec writes for any of a table.

    It is the first entry for which msgspec has the same message when the table has it alone.
    """
    head, dots, rest = path.partition("[...]")
    if not dots:
        return path, _value(path, tables)
    try:
        alone = copy.deepcopy(tables)
    except RecursionError:  # lists in lists, hundreds deep
        return path, None
    table = _value(head, alone)
    entries = dict(table) if isinstance(table, dict) else {}
    for name, value in entries.items():
        table.clear()
        table[name] = value
        try:
            msgspec.convert(alone, root)
        except msgspec.ValidationError as error:
            if str(error) == message:
                shown = name if is_visible(name) else ascii(name)
                return f"{head}.{shown}{rest}", None if rest else value
    return path, None


def _is_list_of_tables(found: Any) -> bool:
    item = _bare(getattr(_bare(found), "item_type", None))
    kinds = item.types if isinstance(item, inspect.UnionType) else (item,)
    return all(isinstance(kind, inspect.StructType) for kind in kinds)


def _join(path: str, field: str) -> str:
    return f"{path}.{field}" if path else field


def _fields(path: str, tables: dict[str, Any], root: type) -> list[str]:
    """Return the names of the settings that the table at `path` may have."""
    found = _bare(_type(path, tables, root))
    return [field.encode_name for field in found.fields] if isinstance(found, inspect.StructType) else []


def _choices(path: str, tables: dict[str, Any], root: type) -> list[str]:
    """Return the words that may stand at `path`, or nothing if its type is no choice of words."""
    found = _bare(_type(path, tables, root))
    if isinstance(found, inspect.LiteralType):
        return [str(value) for value in found.values]
    parent, _, field = path.rpartition(".")
    table = _bare(_type(parent, tables, root))
    kinds = table.types if isinstance(table, inspect.UnionType) else (table,)
    tags = [(kind.tag_field, kind.tag) for kind in kinds if isinstance(kind, inspect.StructType)]
    return [str(tag) for name, tag in tags if name == field]


def _description(path: str, tables: dict[str, Any], root: type) -> str:
    """Return the description of the type at `path`, or an empty string."""
    found = _type(path, tables, root)
    extra = found.extra_json_schema if isinstance(found, inspect.Metadata) else None
    return str(extra["description"]) if extra and "description" in extra else ""


def _type(path: str, tables: dict[str, Any], root: type) -> Any:
    """Return the type of the value at `path`, and of a tagged union the member that the table's `kind` names."""
    found: Any = _type_info(root)
    at = ""
    for part in _parts(path):
        at = f"{at}[{part}]" if part.isdigit() or part == "..." else _join(at, part)
        inner = _bare(found)
        if isinstance(inner, inspect.StructType):
            found = next((field.type for field in inner.fields if field.encode_name == part), None)
        else:
            found = getattr(inner, "item_type", None) or getattr(inner, "value_type", None)
        found = _member(found, _value(at, tables))
    return found


_type_info = cache(inspect.type_info)  # it looks at every setting anew, which takes milliseconds


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
