"""The licence that a model card names."""

from __future__ import annotations

import pytest

from earmark.checkpoints.model_card import licence


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("license: cc-by-nc-4.0", "cc-by-nc-4.0"),
        ('license: "CC BY-NC 4.0"  # as the data', "CC BY-NC 4.0"),
        ("license: [mit, cc-by-nc-4.0]", "[mit, cc-by-nc-4.0]"),
        ("license:\tother \t", "other"),
        ("license: a\x1b[2Jb", "a[2Jb"),
        ("license:", ""),
        ("license:  # ask", ""),
        ("license: other\nlicense_name: acme-non-commercial\nlicense_link: x", "other, acme-non-commercial"),
        ("license:\n- mit\n- cc-by-nc-4.0\ntags: [a]", "mit, cc-by-nc-4.0"),
        ("license: >-\n  cc-by-nc-4.0\nlanguage: en", "cc-by-nc-4.0"),
        ("license: mit\t# ask", "mit"),
    ],
)
def test_a_licence_is_all_that_its_line_says(line: str, named: str) -> None:
    assert licence(f"---\n{line}\nlanguage: en\n---\n") == named


@pytest.mark.parametrize(
    "card", ["", "# Card\nlicense: mit\n", "---\nlicense: mit\n", "text\n---\nlicense: mit\n---\n"]
)
def test_a_card_without_front_matter_names_none(card: str) -> None:
    assert licence(card) == ""
