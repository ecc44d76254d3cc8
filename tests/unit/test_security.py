"""Every claim of docs/security.md names a test, and every test that it names exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "security.md").read_text()
NAMED = re.compile(r"`(tests/[a-z_/]+\.py)::(test_\w+)`")


@cache
def defined_in(file: Path) -> frozenset[str]:
    tree = ast.parse(file.read_text())
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


def rows_of_claims() -> list[str]:
    """The rows of all tables whose last column is the test."""
    rows, claims = [], False
    for line in DOCUMENT.splitlines():
        if not line.startswith("|"):
            claims = False
        elif line.rstrip().endswith("| test |"):
            claims = True
        elif claims and not line.startswith("|--"):
            rows.append(line)
    return rows


@pytest.mark.parametrize(("file", "name"), sorted(set(NAMED.findall(DOCUMENT))))
def test_a_test_that_the_document_names_exists(file: str, name: str) -> None:
    assert name in defined_in(ROOT / file)


def test_every_claim_names_a_test() -> None:
    rows = rows_of_claims()
    assert len(rows) > 40
    assert [row for row in rows if not NAMED.search(row.rsplit(" | ", 1)[1])] == []
