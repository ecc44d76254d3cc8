from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.tomlfile.values import toml

texts = st.text(st.characters(exclude_categories=["Cs"]))  # a lone surrogate is no text
values = texts | st.integers(-(2**63), 2**63 - 1) | st.booleans() | st.floats(allow_nan=False, allow_infinity=False)


@given(values | st.lists(texts))
def test_a_value_is_read_as_it_was_written(value: object) -> None:
    assert tomllib.loads(f"key = {toml(value)}\n") == {"key": value}


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("/home/a b/models", '"/home/a b/models"'),
        ("C:\\models", '"C:\\\\models"'),
        ('say "stop"', '"say \\"stop\\""'),
        ("größe", '"größe"'),
        ("a\nb", '"a\\nb"'),
        ("\x7f", '"\\u007f"'),
    ],
)
def test_quotes_backslashes_and_control_characters_are_escaped_and_nothing_else(text: str, written: str) -> None:
    assert toml(text) == written
