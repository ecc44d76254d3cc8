"""The mutants of a piece of source: small changes that a test ought to notice.

A mutant replaces one expression or one simple statement. Left alone are docstrings, annotations, decorators, class
headers, assertions, imports, logging, aliases of types, `if TYPE_CHECKING`, f-strings, and all texts except those that
are compared or used as keys.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from tests.mutants.left_alone import children, is_left_alone
from tests.mutants.rules import RULES, Change


@dataclass(frozen=True, slots=True, order=True)
class Mutant:
    """Put `text` in the place of the bytes from `start` to `end` of the source.

    `original` and `changed` say the same to people, each in one line.
    """

    start: int
    end: int
    text: str
    line: int
    original: str
    changed: str

    def apply(self, source: str) -> str:
        """Return `source` with this change."""
        raw = source.encode()
        return (raw[: self.start] + self.text.encode() + raw[self.end :]).decode()


def mutants(source: str) -> list[Mutant]:
    """Return every mutant of `source`, in its order; no two make the same change."""
    starts = [0]
    for line in source.encode().splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found: dict[tuple[int, int, str], Mutant] = {}
    for change in _changes(ast.parse(source)):
        node, new = change.node, ast.unparse(change.new)
        text = f"({new})" if isinstance(change.new, ast.expr) and not isinstance(change.new, ast.Slice) else new
        start = starts[node.lineno - 1] + node.col_offset
        end = starts[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)
        original, changed = (f"{change.keyword} {one}".strip() for one in (ast.unparse(node), new))
        if original != changed:
            mutant = Mutant(start, end, text, node.lineno, _one_line(original), _one_line(changed))
            found.setdefault((start, end, text), mutant)
    return sorted(found.values())


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _changes(node: ast.AST) -> Iterator[Change]:
    if is_left_alone(node):
        return
    for kind, rule in RULES:
        if isinstance(node, kind):
            yield from rule(node)
    for child in children(node):
        yield from _changes(child)
