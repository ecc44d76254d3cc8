from __future__ import annotations

from datetime import UTC, datetime

import pytest

from earmark.archive.kept_clip import KeptClip, from_comment, is_identity, to_comment
from earmark.archive.query import parse_query
from earmark.errors import SubscriptionError

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def clip(number: int, label: str = "stop", source: str = "desk", classifier: str = "commands") -> KeptClip:
    """A clip of the minute `number` after seven."""
    time = f"2026-11-22T07:{number:02d}:00.000Z"
    return KeptClip(f"e-{number}", f"/v1/clips/e-{number}", time, source, classifier, label, 0.9, 1.0, 1.5, time)


CLIPS = [clip(1), clip(3, "go"), clip(2, "go", "hall"), clip(4, "happy", classifier="emotion")]


def found(*parameters: tuple[str, str]) -> list[str]:
    return [each.id for each in parse_query(parameters, lambda: NOW).page(CLIPS)[0]]


def test_all_clips_come_newest_first() -> None:
    assert found() == ["e-4", "e-3", "e-2", "e-1"]


@pytest.mark.parametrize(
    ("name", "value", "ids"),
    [
        ("labels", "go", ["e-3", "e-2"]),
        ("sources", "hall", ["e-2"]),
        ("classifiers", "emotion,other", ["e-4"]),
        ("from", "2026-11-22T07:03:00Z", ["e-4", "e-3"]),
        ("to", "2026-11-22T07:03:00Z", ["e-2", "e-1"]),
        ("from", "-5h", []),
    ],
)
def test_a_filter_chooses_clips(name: str, value: str, ids: list[str]) -> None:
    now = datetime(2026, 11, 22, 12, 30, tzinfo=UTC)
    query = parse_query([(name, value)], lambda: now)
    assert [each.id for each in query.page(CLIPS)[0]] == ids


def test_pages_follow_each_other_without_a_clip_twice_or_missing() -> None:
    first, cursor = parse_query([("limit", "3")], lambda: NOW).page(CLIPS)
    assert cursor is not None
    second, end = parse_query([("limit", "3"), ("cursor", cursor)], lambda: NOW).page(CLIPS)
    assert [each.id for each in [*first, *second]] == ["e-4", "e-3", "e-2", "e-1"]
    assert end is None
    assert parse_query([("limit", "4")], lambda: NOW).page(CLIPS)[1] is None


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ([("label", "go")], "label: no such parameter; did you mean labels?"),
        ([("limit", "0")], "limit: '0' is not a number of clips, 1 to 1000"),
        ([("limit", "1001")], "limit: '1001' is not a number of clips"),
        ([("from", "-1h"), ("to", "-2h")], "from: it is not before to"),
        ([("to", "-1h"), ("to", "-2h")], "to: given more than once"),
        ([("from", "yesterday")], "from: 'yesterday' is not a time"),
    ],
)
def test_a_wrong_parameter_is_refused_with_its_name(parameters: list[tuple[str, str]], sentence: str) -> None:
    with pytest.raises(SubscriptionError) as refused:
        parse_query(parameters, lambda: NOW)
    assert str(refused.value).startswith(sentence)


def test_a_filter_for_deleting_has_no_page() -> None:
    with pytest.raises(SubscriptionError, match="limit: no such parameter"):
        parse_query([("limit", "1")], lambda: NOW, paging=False)


def test_the_comment_of_a_file_tells_all_of_its_clip() -> None:
    assert from_comment(to_comment(clip(1, "Schuß"))) == clip(1, "Schuß")


@pytest.mark.parametrize("text", ["", "a comment", "{}", to_comment(clip(1)).replace("e-1", "../e-1")])
def test_another_comment_tells_of_no_clip(text: str) -> None:
    with pytest.raises(ValueError, match="tells of no kept clip"):
        from_comment(text)


@pytest.mark.parametrize("text", ["9f2c61d0-311", "e-1"])
def test_the_id_of_a_label_can_name_a_file(text: str) -> None:
    assert is_identity(text)


@pytest.mark.parametrize("text", ["", "-1", "e-", "../e-1", "e-1/..", "e-1\n", "e-１", "a" * 33 + "-1"])
def test_nothing_else_can(text: str) -> None:
    assert not is_identity(text)
