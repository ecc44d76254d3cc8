from __future__ import annotations

from functools import partial

import pytest

from earmark.access.places import TELL_SECONDS, Admission, NoPlace, Places, Refusals, owner_of

FAR = "192.0.2.1"


def test_there_are_as_many_places_as_the_limit_says() -> None:
    places = Places(2, 9)
    first, _ = places.take(FAR), places.take(FAR)
    with pytest.raises(NoPlace, match="there are 2 connections already"):
        places.take(FAR)
    first.release()
    assert isinstance(places.take(FAR), Admission)
    assert len(places) == 2


def test_one_address_gets_no_more_than_its_share() -> None:
    places = Places(9, 2)
    first = places.take(FAR)
    places.take(FAR)
    with pytest.raises(NoPlace, match=r"server\.max_per_address"):
        places.take(FAR)
    places.take("192.0.2.2")
    first.release()
    first.release()  # a second time changes nothing
    places.take(FAR)
    with pytest.raises(NoPlace):
        places.take(FAR)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", ""])
def test_this_machine_is_not_counted_by_address(address: str) -> None:
    places = Places(9, 1)
    assert len([places.take(address) for _ in range(9)]) == 9
    assert owner_of(address) == ""


@pytest.mark.parametrize(
    ("address", "owner"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_an_ipv6_network_counts_as_one_address(address: str, owner: str) -> None:
    assert owner_of(address) == owner


def test_the_connection_that_waits_longest_makes_room_for_a_newcomer() -> None:
    closed: list[str] = []
    places = Places(3, 9)
    busy, old, young = places.take(FAR), places.take(FAR), places.take(FAR)
    for place, name in ((old, "old"), (busy, "busy"), (young, "young")):
        place.wait(partial(closed.append, name))
    busy.work()
    old.wait(lambda: closed.append("waits already"))
    places.take(FAR)
    assert closed == ["old"]
    places.take(FAR)
    assert closed == ["old", "young"]
    with pytest.raises(NoPlace):
        places.take(FAR)
    assert len(places) == 3


def test_a_released_connection_is_not_asked_to_make_room() -> None:
    places = Places(1, 9)
    place = places.take(FAR)
    place.wait(pytest.fail)
    place.release()
    place.wait(pytest.fail)
    places.take(FAR)
    with pytest.raises(NoPlace):
        places.take(FAR)


def test_refusals_are_told_once_a_minute_with_their_number() -> None:
    refusals = Refusals()
    assert [refusals.add("all", at) for at in (0.0, 0.1, TELL_SECONDS - 0.1, TELL_SECONDS, TELL_SECONDS + 1)] == [
        1,
        0,
        0,
        3,
        0,
    ]
    assert refusals.counts == {"address": 0, "all": 5, "files": 0}


def test_a_connection_of_a_proxy_counts_under_its_client_once_that_is_known() -> None:
    places = Places(10, 1)
    one, other, third = places.take(""), places.take(""), places.take("")
    one.belong_to("203.0.113.1")
    with pytest.raises(NoPlace):
        other.belong_to("203.0.113.1")
    other.belong_to("203.0.113.2")
    third.belong_to("127.0.0.1")
    one.belong_to("203.0.113.3")  # it has an owner already
    one.release()
    third.belong_to("203.0.113.1")
    with pytest.raises(NoPlace):
        places.take("203.0.113.1")
    third.release()
    other.release()
    assert len(places) == 0
    places.take("203.0.113.1")


def test_a_place_that_was_given_back_counts_under_nobody() -> None:
    places = Places(10, 1)
    gone = places.take("")
    gone.release()
    gone.belong_to("203.0.113.1")
    places.take("203.0.113.1")
