"""What is changed where: one rule for each kind of syntax."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from tests.mutants.left_alone import is_left_alone

SWAPPED_NAMES = {"min": "max", "max": "min", "any": "all", "all": "any"}
SYMMETRIC = {"min", "max", "isinstance", "issubclass", "isclose", "gcd", "minimum", "maximum", "array_equal"}
# What `+` joins; every other operator is an error at once, and so no test of the tests
UNCOUNTABLE = (ast.JoinedStr, ast.List, ast.ListComp, ast.Tuple)

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}


@dataclass(frozen=True, slots=True)
class Change:
    """Replace `node`, an expression or a statement, by `new`. `keyword` stands before both where people read them."""

    node: ast.expr | ast.stmt
    new: ast.expr | ast.stmt
    keyword: str = ""


def _with(node: ast.expr | ast.stmt, **fields: object) -> ast.expr | ast.stmt:
    """Return a copy of `node` with other `fields`."""
    new = copy.copy(node)
    for name, value in fields.items():
        setattr(new, name, value)
    return new


def _constant(value: object) -> ast.expr:
    return ast.parse(repr(value), mode="eval").body  # a negative number is an operator and a constant


def _compare(node: ast.Compare) -> Iterator[Change]:
    for place, operator in enumerate(node.ops):
        for other in COMPARISONS[type(operator)]:
            yield Change(node, _with(node, ops=[*node.ops[:place], other(), *node.ops[place + 1 :]]))
    for side in (node.left, *node.comparators):
        yield from _texts([side, *(side.elts if isinstance(side, ast.Tuple | ast.List | ast.Set) else ())])


def _texts(nodes: list[ast.expr]) -> Iterator[Change]:
    """Change the texts among `nodes`, which are compared or used as keys."""
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield Change(node, _constant("XX" + node.value))


def _number(node: ast.Constant) -> Iterator[Change]:
    value = node.value
    if isinstance(value, bool):
        yield Change(node, _constant(not value))
    elif isinstance(value, int):
        yield from (Change(node, _constant(other)) for other in (value + 1, value - 1))
    elif isinstance(value, float):
        others = (value * 1.1, value * 0.9, value + 1, value - 1)
        yield from (Change(node, _constant(float(f"{other:.12g}"))) for other in others)


def _boolean(node: ast.BoolOp) -> Iterator[Change]:
    yield Change(node, _with(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And()))
    for place in range(len(node.values)):
        rest = [*node.values[:place], *node.values[place + 1 :]]
        yield Change(node, rest[0] if len(rest) == 1 else _with(node, values=rest))


def _unary(node: ast.UnaryOp) -> Iterator[Change]:
    if isinstance(node.op, ast.Not | ast.USub):
        yield Change(node, node.operand)


def _binary(node: ast.BinOp) -> Iterator[Change]:
    joined = any(isinstance(side, UNCOUNTABLE) or _is_text(side) for side in (node.left, node.right))
    if not joined and (other := OPERATORS.get(type(node.op))):
        yield Change(node, _with(node, op=other()))


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)


def _call(node: ast.Call) -> Iterator[Change]:
    name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
    if isinstance(node.func, ast.Name) and name in SWAPPED_NAMES:
        yield Change(node, _with(node, func=ast.Name(SWAPPED_NAMES[name])))
    if name not in SYMMETRIC:
        for place, (one, two) in enumerate(pairwise(node.args)):
            if not isinstance(one, ast.Starred) and not isinstance(two, ast.Starred):
                yield Change(node, _with(node, args=[*node.args[:place], two, one, *node.args[place + 2 :]]))
    if name in ("get", "pop", "setdefault"):
        yield from _texts(node.args[:1])
    yield from _keywords(node)


def _keywords(node: ast.Call) -> Iterator[Change]:
    given = node.keywords
    for place, keyword in enumerate(given):
        if not is_left_alone(keyword):
            yield Change(node, _with(node, keywords=[*given[:place], *given[place + 1 :]]))
    for place, (one, two) in enumerate(pairwise(given)):
        swapped = [ast.keyword(one.arg, two.value), ast.keyword(two.arg, one.value)]
        if one.arg and two.arg and not is_left_alone(one) and not is_left_alone(two):
            yield Change(node, _with(node, keywords=[*given[:place], *swapped, *given[place + 2 :]]))


def _subscript(node: ast.Subscript) -> Iterator[Change]:
    yield from _texts([node.slice])


def _slice(node: ast.Slice) -> Iterator[Change]:
    yield from (Change(node, _with(node, **{bound: None})) for bound in ("lower", "upper", "step"))


def _dict(node: ast.Dict) -> Iterator[Change]:
    yield from _texts([key for key in node.keys if key])


def _match_value(node: ast.MatchValue) -> Iterator[Change]:
    yield from _texts([node.value])


def _guard(node: ast.match_case) -> Iterator[Change]:
    if node.guard:
        yield from (Change(node.guard, _constant(value), "if") for value in (True, False))


def _if(node: ast.If) -> Iterator[Change]:
    yield from (Change(node.test, _constant(value), "if") for value in (True, False))


def _while(node: ast.While) -> Iterator[Change]:
    if not isinstance(node.test, ast.Constant):
        yield Change(node.test, _constant(False), "while")


def _choice(node: ast.IfExp) -> Iterator[Change]:
    yield from (Change(node, branch) for branch in (node.body, node.orelse))


def _comprehension(node: ast.comprehension) -> Iterator[Change]:
    yield from (Change(test, _constant(True), "if") for test in node.ifs)


def _return(node: ast.Return) -> Iterator[Change]:
    if node.value and not (isinstance(node.value, ast.Constant) and node.value.value in (None, False)):
        yield Change(node, ast.Return(_constant(None)))


def _dropped(node: ast.stmt) -> Iterator[Change]:
    yield Change(node, ast.Pass())


def _expression(node: ast.Expr) -> Iterator[Change]:
    yield Change(node, ast.Pass())


def _augmented(node: ast.AugAssign) -> Iterator[Change]:
    yield Change(node, ast.Assign([node.target], node.value, lineno=node.lineno))
    if other := OPERATORS.get(type(node.op)):
        yield Change(node, _with(node, op=other()))
    yield Change(node, ast.Pass())


def _assign(node: ast.Assign) -> Iterator[Change]:
    """Drop an assignment to what lives on: an attribute, an item. Of `a, b = x, y` drop each half as well."""
    targets = [part for target in node.targets for part in _parts(target)]
    if any(isinstance(part, ast.Attribute | ast.Subscript) for part in targets):
        yield Change(node, ast.Pass())
    if len(node.targets) == 1 and isinstance(node.targets[0], ast.Tuple) and isinstance(node.value, ast.Tuple):
        pairs = list(zip(node.targets[0].elts, node.value.elts, strict=False))
        for place, (target, _) in enumerate(pairs):
            if isinstance(target, ast.Attribute | ast.Subscript):
                rest = [*pairs[:place], *pairs[place + 1 :]]
                new = ast.Assign([_tuple([one for one, _ in rest])], _tuple([one for _, one in rest]))
                yield Change(node, ast.copy_location(new, node))


def _parts(target: ast.expr) -> list[ast.expr]:
    return target.elts if isinstance(target, ast.Tuple | ast.List) else [target]


def _tuple(parts: list[ast.expr]) -> ast.expr:
    return parts[0] if len(parts) == 1 else ast.Tuple(parts)


def _function(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Change]:
    """Change defaults that are texts (other rules see the numbers), and drop what gives a name another value."""
    yield from _texts([*node.args.defaults, *(default for default in node.args.kw_defaults if default)])
    every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    known = {argument.arg for argument in every}
    assignments = [inner for inner in ast.walk(node) if isinstance(inner, ast.Assign)]
    for inner in sorted(assignments, key=lambda one: one.lineno):
        names = {part.id for target in inner.targets for part in _parts(target) if isinstance(part, ast.Name)}
        if names and names <= known:
            yield Change(inner, ast.Pass())
        known |= names


# Each rule is given the nodes of its kind alone, which the type of the table cannot tell
RULES: tuple[tuple[type[ast.AST], Callable[..., Iterator[Change]]], ...] = (
    (ast.Compare, _compare),
    (ast.Constant, _number),
    (ast.BoolOp, _boolean),
    (ast.UnaryOp, _unary),
    (ast.BinOp, _binary),
    (ast.Call, _call),
    (ast.Subscript, _subscript),
    (ast.Slice, _slice),
    (ast.Dict, _dict),
    (ast.MatchValue, _match_value),
    (ast.match_case, _guard),
    (ast.If, _if),
    (ast.While, _while),
    (ast.IfExp, _choice),
    (ast.comprehension, _comprehension),
    (ast.Return, _return),
    (ast.Expr, _expression),
    (ast.Raise, _dropped),
    (ast.Continue, _dropped),
    (ast.Break, _dropped),
    (ast.Delete, _dropped),
    (ast.AugAssign, _augmented),
    (ast.Assign, _assign),
    (ast.FunctionDef, _function),
    (ast.AsyncFunctionDef, _function),
)
