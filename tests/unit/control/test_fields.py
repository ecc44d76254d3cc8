from __future__ import annotations

from collections.abc import Mapping

import pytest

from earmark.control import fields
from earmark.errors import RequestError


def test_decide_vad_and_paused_pass() -> None:
    fields.check_classifier({"decide": {"on": 0.5}, "vad": {}})
    fields.check_classifier({"labels": ["a dog"], "background": [], "template": "{}"})
    fields.check_source({"paused": True})
    fields.check_classifier({})
    fields.check_source({})


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"hop": 0.5}, "hop: a PATCH cannot change it; write it in the configuration, and reload"),
        ({"model": "x"}, "model: a PATCH cannot change it; write it in the configuration, and reload"),
        ({"groups": {}}, "groups: a PATCH cannot change it; write it in the configuration, and reload"),
        ({"verify": {}}, "verify: a PATCH cannot change it; write it in the configuration, and reload"),
        ({"decid": {}}, "decid: no such field; did you mean decide?"),
        ({"x": {}}, "x: no such field; there are decide, vad, labels, background, template"),
        ({"decide": 0.5}, "decide: it must be an object"),
        ({"vad": None}, "vad: it must be an object"),
        ({"labels": "a dog, rain"}, "labels: it must be a list of texts"),
        ({"background": [1]}, "background: it must be a list of texts"),
        ({"template": ["{}"]}, "template: it must be a text"),
    ],
)
def test_another_field_of_a_classifier_is_named(changes: Mapping[str, object], told: str) -> None:
    with pytest.raises(RequestError) as caught:
        fields.check_classifier(changes)
    assert (caught.value.status, str(caught.value)) == (400, told)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"paused": 1}, "paused: it must be true or false"),
        ({"paused": None}, "paused: it must be true or false"),
        ({"pause": True}, "pause: a PATCH cannot change it; did you mean paused?"),
        ({"rate": 8000}, "rate: a PATCH cannot change it; only paused; write all else in the"),
    ],
)
def test_another_field_of_a_source_is_named(changes: Mapping[str, object], told: str) -> None:
    with pytest.raises(RequestError) as caught:
        fields.check_source(changes)
    assert (caught.value.status, str(caught.value).startswith(told)) == (400, True), str(caught.value)


def test_an_unknown_name_is_404_with_the_nearest_known_one() -> None:
    near, far = fields.unknown("source", "desc", ["desk", "door"]), fields.unknown("source", "x" * 200, [])
    assert (near.status, str(near)) == (404, "there is no source 'desc'; did you mean desk?")
    assert str(far) == f"there is no source {'x' * 100!r}; there are none"
