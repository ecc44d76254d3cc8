from __future__ import annotations

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.protocol.names import join, quote, split


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", []),
        ("a", ["a"]),
        ("a,b", ["a", "b"]),
        (" a , b ", ["a", "b"]),
        (",a,,b,", ["a", "b"]),
        ('"Male speech, man speaking",Dog', ["Male speech, man speaking", "Dog"]),
        (' "a,b" , c', ["a,b", "c"]),
        ('"say ""hi"", then"', ['say "hi", then']),
        ('5" disk,b', ['5" disk', "b"]),
        ('" a "', [" a "]),
        ('""', []),
        ("Male speech, man speaking", ["Male speech", "man speaking"]),
        ("a\nb", ["a\nb"]),
    ],
)
def test_names_are_separated_by_commas_and_one_with_a_comma_stands_between_quotes(text: str, names: list[str]) -> None:
    assert split(text) == names


@pytest.mark.parametrize("text", ['"a', '"a"b', 'a,"b', '"', '"""'])
def test_a_quote_that_is_not_closed_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="between double quotes"):
        split(text)


@given(st.lists(st.text(min_size=1)))
def test_what_is_joined_is_split_into_the_same_names(names: list[str]) -> None:
    assert split(join(names)) == names


def test_names_are_quoted_only_where_they_must_be() -> None:
    assert [quote(name) for name in ("Dog", "Male speech, man speaking", 'a"b', '"a"', " a", "")] == [
        "Dog",
        '"Male speech, man speaking"',
        'a"b',
        '"""a"""',
        '" a"',
        '""',
    ]


@pytest.mark.parametrize(
    "text", [" " * 65_000 + "x", "a" + " " * 65_000 + "b", '"' * 65_001, '"a" ' * 16_000, "," * 65_000]
)
def test_no_text_takes_more_time_than_its_length_is_worth(text: str) -> None:
    """The largest message of a subscriber: a pattern that goes back and forth would take minutes for it."""
    began = time.thread_time()
    with contextlib.suppress(ValueError):
        split(text)
    assert time.thread_time() - began < 0.5
