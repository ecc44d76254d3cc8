from __future__ import annotations

import pytest

from earmark.protocol.licence import is_non_commercial, told


@pytest.mark.parametrize(
    "licence",
    [
        "cc-by-nc-4.0",
        "cc-by-nc-sa-4.0",
        "cc-by-nc-nd-3.0",
        "CC BY-NC 4.0",
        "cc_by_nc_2.0",
        "nc",
        "NC",
        "mit AND cc-by-nc",
        "noncommercial",
        "non-commercial",
        "PolyForm-Noncommercial-1.0.0",
        "fair-noncommercial-research-license",
        "acme-non-commercial",
        "for Non Commercial use",
        "[mit, cc-by-nc-4.0]",
    ],
)
def test_a_name_with_nc_or_non_commercial_in_it_is_non_commercial(licence: str) -> None:
    assert is_non_commercial(licence)
    assert told(licence) == f"{licence} (non-commercial)"


@pytest.mark.parametrize(
    "licence",
    [
        "cc-by-4.0",
        "cc-by-sa-4.0",
        "cc-by-3.0",
        "apache-2.0",
        "mit",
        "ncsa",
        "bsd-3-clause",
        "commercial",
        "other",
        "non",
        "nc4",
        "4nc",
    ],
)
def test_no_other_name_is(licence: str) -> None:
    assert not is_non_commercial(licence)
    assert told(licence) == licence


def test_words_that_are_apart_say_nothing() -> None:
    assert not is_non_commercial("commercial-non")
    assert not is_non_commercial("non-exclusive-commercial")


def test_of_no_licence_nothing_is_concluded() -> None:
    assert not is_non_commercial("")
    assert told("") == "unknown"
