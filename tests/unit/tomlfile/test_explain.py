from __future__ import annotations

from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Meta

from earmark.tomlfile.explain import explained

Score = Annotated[float, Meta(le=1, description="a score (0 to 1)")]


class Item(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    score: Score = 0.0


class Root(msgspec.Struct, forbid_unknown_fields=True):
    item: tuple[Item, ...] = ()
    names: tuple[str, ...] = ()
    one: Item = Item()
    by_name: dict[str, Score] = {}


@pytest.mark.parametrize(
    ("tables", "told"),
    [
        ({"item": [{"scor": 1}]}, "item[0].scor: no such setting; did you mean score?"),
        ({"item": [{}, {"score": 2}]}, "item[1].score: 2 is not a score (0 to 1)"),
        ({"item": {}}, "item: is a single table; there may be several, so write [[item]] with double brackets"),
        ({"one": [{}]}, "one: is a list of tables; there is one, so write [one] with single brackets"),
        ({"names": {}}, "names: must be a list, not a table"),
        ({"names": "a"}, "names: must be a list (it is 'a')"),
        ({"names": [3]}, "names[0]: must be a text (it is 3)"),
        ({"by_name": []}, "by_name: must be a table of names and values, not a list"),
        ({"by_name": {"a": 1, "b": 5, "c": 6}}, "by_name.b: 5 is not a score (0 to 1)"),
        ({"by_name": {"b\nc": 5}}, "by_name.'b\\nc': 5 is not a score (0 to 1)"),
    ],
)
def test_a_table_of_any_settings_file_is_explained(tables: dict[str, Any], told: str) -> None:
    with pytest.raises(msgspec.ValidationError) as raised:
        msgspec.convert(tables, Root)
    assert explained(str(raised.value), tables, Root) == told


def test_lists_in_lists_hundreds_deep_are_explained_too() -> None:
    deep: list[Any] = []
    for _ in range(900):
        deep = [deep]
    told = explained("Expected `float`, got `array` - at `$.by_name[...]`", {"by_name": {"a": deep}}, Root)
    assert told == "by_name[...]: must be a number, not a list"
