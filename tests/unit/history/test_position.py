from __future__ import annotations

import pytest

from earmark.errors import SubscriptionError
from earmark.history.position import Position, check_position, parse_position
from earmark.history.recent import Recent


def test_a_position_is_an_epoch_and_a_number() -> None:
    assert parse_position("9f2c61d0:1042") == Position("9f2c61d0", 1042)
    assert parse_position("a-b_C:0") == Position("a-b_C", 0)


def test_a_position_reads_as_it_is_written() -> None:
    assert str(Position("9f2c", 17)) == "9f2c:17"


@pytest.mark.parametrize(
    "value", ["", "17", ":17", "9f2c:", "9f2c:-1", "9f2c:1.5", "9f2c:١", "9f 2c:1", "9f2c:1:2", f"e:{10**15}", 17, None]
)
def test_what_is_no_position_is_refused_with_an_example(value: object) -> None:
    with pytest.raises(SubscriptionError, match=r"^since: .+ is not a position, EPOCH:SEQ .+9f2c61d0:1042"):
        parse_position(value)


def test_a_long_value_is_cut_in_the_refusal_and_the_parameter_has_the_name_of_the_caller() -> None:
    with pytest.raises(SubscriptionError) as caught:
        parse_position("x" * 1000, "cursor")
    assert str(caught.value).startswith("cursor: 'xxx")
    assert len(str(caught.value)) < 180


def test_a_position_that_was_not_reached_yet_is_refused() -> None:
    kept = Recent("9f2c", newest=17)
    check_position(Position("9f2c", 17), kept)
    check_position(Position("other", 18), kept)
    with pytest.raises(SubscriptionError) as caught:
        check_position(Position("9f2c", 18), kept)
    assert str(caught.value) == "since: 9f2c:18 lies ahead of the newest event, which has the number 17"
