"""The documents hold together: their links lead somewhere, and the glossary is in order."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PATTERNS = ("*.md", "docs/*.md", "systemd/*.md", "training/README.md", "daemon/earmark/models/*/README.md")
DOCUMENTS = sorted(path for pattern in PATTERNS for path in ROOT.glob(pattern))
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_within_the_project_leads_to_a_file(document: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text())
    assert [target for target in targets if not (document.parent / target).exists()] == []


def test_the_terms_of_the_glossary_are_in_alphabetical_order_and_each_is_explained_once() -> None:
    groups = [re.findall(r"^\* \*\*`?(.+?)`?\*\*: ", group, re.M) for group in GLOSSARY.split("\n## ")[1:]]
    assert all(groups)
    for terms in groups:
        assert terms == sorted(terms, key=str.casefold)
    every = [term for terms in groups for term in terms]
    assert len(every) == len(set(every))


def test_the_glossary_has_a_line_for_each_term() -> None:
    lines = [line for line in GLOSSARY.splitlines()[3:] if line and not line.startswith("#")]
    assert [line for line in lines if not re.match(r"\* \*\*.+\*\*: .+\.$", line)] == []
