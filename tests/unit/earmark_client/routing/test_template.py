from __future__ import annotations

import pytest

from earmark_client.routing.template import complaints, fields, fill, topic
from tests.routes import off, word

VALUES = fields(word("go", 2), "light", "e:7")


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("{label}", "go"),
        ("{label} by {source}, {score}", "go by desk, 0.9"),
        ("{route} {event_id} {start} {end}", "light e:7 1.5 2"),
        ("{peak}", ""),
        ("{{label}}", "{label}"),
        ('{"state":{"on":"{label}"}}', '{"state":{"on":"go"}}'),
        ("{}", "{}"),
        ("{Label} {label!r} {label:>9}", "{Label} {label!r} {label:>9}"),
    ],
)
def test_placeholders_are_replaced_and_other_braces_stay(text: str, filled: str) -> None:
    assert fill(text, VALUES) == filled


def test_a_value_is_never_filled_again() -> None:
    assert fill("{label}", fields(word("{source} $HOME `id`", 2), "r", "e:1")) == "{source} $HOME `id`"


def test_a_name_adds_no_level_and_no_wildcard_to_a_topic() -> None:
    assert topic("home/{label}/x", fields(word("a/b+#", 2), "r", "e:1")) == "home/a_b__/x"


def test_an_off_has_no_score_and_a_peak() -> None:
    assert fill("{state} {score}{peak} {reason}", fields(off("dog", 1, 2), "r", "e:1")) == "off 0.9 quiet"


def test_a_placeholder_that_no_event_has_is_told_with_the_nearest_one() -> None:
    assert list(complaints("{lable} {label} {{lable}}")) == [
        "no event has {lable}; did you mean label?; write {{lable}} if the braces are meant"
    ]
