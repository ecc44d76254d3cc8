"""Which parts of the syntax no mutant touches, because no test could see the change or nobody would mean it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

ALIAS_MAKERS = {"TypeVar", "NewType", "ParamSpec", "TypeVarTuple", "Meta", "namedtuple", "NamedTuple"}
BUILTIN_TYPES = {"dict", "list", "set", "frozenset", "tuple", "type", "str", "bytes", "int", "float", "bool"}
LOGGERS = {"log", "logger", "logging", "_log", "_logger"}
# Fields that hold annotations, decorators, bases, messages, or the types that are caught
SKIPPED_FIELDS: dict[type[ast.AST], tuple[str, ...]] = {
    ast.FunctionDef: ("decorator_list", "returns"),
    ast.AsyncFunctionDef: ("decorator_list", "returns"),
    ast.ClassDef: ("decorator_list", "bases", "keywords"),
    ast.AnnAssign: ("annotation", "target"),
    ast.ExceptHandler: ("type",),
}
NEVER = (ast.JoinedStr, ast.Assert, ast.Import, ast.ImportFrom, ast.arg)


def is_left_alone(node: ast.AST) -> bool:
    """Whether neither `node` nor anything in it may be changed."""
    match node:
        case ast.Expr(value=ast.Constant()):  # a docstring, or `...`
            return True
        case ast.Expr(value=ast.Call(func=func)) if _name(func) in ("assert_never", "reveal_type") or _logs(func):
            return True
        case ast.Call(func=func):
            return _name(func) in ALIAS_MAKERS
        case ast.FunctionDef(body=body) | ast.AsyncFunctionDef(body=body):  # of a Protocol: a signature, no code
            return all(isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant) for one in body)
        case ast.keyword(arg="strict" | "encoding"):  # guards against a bug of ours; restates a default
            return True
        case ast.Subscript(value=value):
            return _name(value) in ("Annotated", "Literal")
        case ast.Assign(targets=[ast.Name(id=name)]) if name.startswith("__") and name.endswith("__"):
            return True
        case ast.AnnAssign(annotation=annotation) if _name(annotation) == "TypeAlias":
            return True
        case ast.Assign(targets=[ast.Name()], value=value):
            return _is_type(value)
        case ast.If(test=ast.Name(id="TYPE_CHECKING") | ast.Compare(left=ast.Name(id="__name__"))):
            return True
    return isinstance(node, NEVER)


def children(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the parts of `node` that may be changed, or may hold what may be."""
    match node:
        case ast.Call(func=func, args=[one, _]) if _name(func) in ("isinstance", "issubclass"):
            yield one
        case ast.Call(func=func, args=[_, one]) if _name(func) == "cast":
            yield one
        case _:
            skipped = SKIPPED_FIELDS.get(type(node), ())
            for field, value in ast.iter_fields(node):
                if field not in skipped:
                    inner = value if isinstance(value, list) else [value]
                    yield from (one for one in inner if isinstance(one, ast.AST))


def _name(node: ast.AST) -> str:
    """Return the last part of a dotted name, or nothing."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _logs(func: ast.expr) -> bool:
    return isinstance(func, ast.Attribute) and _name(func.value) in LOGGERS


def _is_type(value: ast.expr) -> bool:
    """Whether `value` is a type, as in `Names = dict[str, int] | None`."""
    match value:
        case ast.Subscript(value=base):
            return _names_a_type(base)
        case ast.BinOp(op=ast.BitOr(), left=left, right=right):
            return any(_is_type(side) or _names_a_type(side) for side in (left, right))
    return False


def _names_a_type(node: ast.expr) -> bool:
    name = _name(node)
    return name in BUILTIN_TYPES or (name[:1].isupper() and not name.isupper())
