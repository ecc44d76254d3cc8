"""The limits of rates: bursts, refill, addresses, and the bound of the table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.access.limits import (
    COUNTED_BYTES,
    MAX_HOLD_SECONDS,
    Arrivals,
    InAll,
    PerAddress,
    PerSecond,
    Rate,
    Sending,
    TooMany,
    Traffic,
)
from earmark.errors import RequestError

HERE, ELSEWHERE = "192.0.2.1", "192.0.2.2"
THREE_THEN_TWO_A_SECOND = Rate(2.0, burst=3)


def passed(limit: PerAddress, address: str, times: list[float]) -> list[bool]:
    return [not limit.take(address, now) for now in times]


def test_a_burst_passes_and_then_as_many_as_the_rate_says() -> None:
    limit = PerAddress(THREE_THEN_TWO_A_SECOND)
    assert passed(limit, HERE, [10.0] * 4) == [True, True, True, False]
    assert passed(limit, HERE, [10.49, 10.5, 10.5, 11.0]) == [False, True, False, True]


def test_the_wait_ends_exactly_when_there_is_a_token() -> None:
    limit = PerAddress(Rate(4.0))
    assert limit.take(HERE, 5.0) == 0
    assert limit.take(HERE, 5.0) == 0.25
    assert (limit.wait(HERE, 5.125), limit.wait(HERE, 5.25)) == (0.125, 0)


def test_asking_for_the_wait_takes_no_token() -> None:
    limit = PerAddress(Rate(1.0))
    assert [limit.wait(HERE, 1.0) for _ in range(3)] == [0, 0, 0]
    assert (limit.take(HERE, 1.0), len(limit)) == (0, 1)


def test_a_refusal_does_not_make_the_wait_longer() -> None:
    limit = PerAddress(Rate(1.0))
    assert passed(limit, HERE, [0.0, *[0.5] * 100, 1.0]) == [True, *[False] * 100, True]


def test_one_address_takes_nothing_from_another() -> None:
    limit = PerAddress(Rate(1.0))
    assert passed(limit, HERE, [0.0, 0.0]) == [True, False]
    assert passed(limit, ELSEWHERE, [0.0]) == [True]


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", "", "/run/earmark.sock"])
def test_this_machine_has_no_limit_and_takes_no_memory(address: str) -> None:
    limit = PerAddress(Rate(1.0))
    assert passed(limit, address, [0.0] * 5) == [True] * 5
    assert (limit.wait(address, 0.0), len(limit)) == (0, 0)


def test_an_ipv6_network_of_64_bits_is_one_address() -> None:
    limit = PerAddress(Rate(1.0))
    assert passed(limit, "2001:db8::1", [0.0]) == [True]
    assert passed(limit, "2001:db8::ffff:1", [0.0]) == [False]
    assert passed(limit, "2001:db8:0:1::1", [0.0]) == [True]


def test_the_table_forgets_the_address_that_was_not_heard_of_for_the_longest_time() -> None:
    limit = PerAddress(Rate(1.0), most=2)
    assert passed(limit, HERE, [0.0]) == [True]
    assert passed(limit, ELSEWHERE, [0.0]) == [True]
    assert passed(limit, HERE, [0.5]) == [False]  # a refusal is heard of too
    assert passed(limit, "192.0.2.3", [0.5]) == [True]
    assert len(limit) == 2
    assert passed(limit, HERE, [0.5]) == [False]
    assert passed(limit, ELSEWHERE, [0.5]) == [True]


def test_all_clients_together_have_one_bucket() -> None:
    limit = InAll(THREE_THEN_TWO_A_SECOND)
    assert [limit.take(7.0) for _ in range(4)] == [0, 0, 0, 0.5]
    assert limit.take(7.5) == 0


@given(st.lists(st.integers(0, 40), max_size=60), st.integers(1, 5), st.sampled_from([0.5, 1.0, 4.0]))
def test_no_stretch_of_time_sees_more_than_a_burst_and_its_rate(steps: list[int], burst: int, rate: float) -> None:
    limit, now, taken = InAll(Rate(rate, burst)), 0.0, []
    for step in steps:
        now += step / 8
        if not limit.take(now):
            taken.append(now)
    for first, start in enumerate(taken):
        for last in range(first, len(taken)):
            assert last - first + 1 <= burst + (taken[last] - start) * rate


def of_three(**changes: int) -> Traffic:
    """Five messages a second in all, four of an address, three of a client; pings without a limit that matters."""
    limits = {"in_all": 5, "per_address": 4, "per_client": 3} | changes
    return Traffic(PerSecond(**limits), PerSecond(100, 100, 100))


def test_a_client_that_sends_too_much_is_told_the_setting_and_counted() -> None:
    traffic = of_three()
    client = Sending(traffic, "127.0.0.1", {})
    assert [client.take("messages", 1.0) for _ in range(3)] == [0, 0, 0]
    with pytest.raises(TooMany, match=r"^more than 3 messages a second \(server\.messages_per_client\)$"):
        client.take("messages", 1.0)
    assert client.take("messages", 1.34) == 0
    assert traffic.closed == {
        "messages_per_client": 1,
        "messages_per_address": 0,
        "pings_per_client": 0,
        "pings_per_address": 0,
    }


def test_a_large_message_counts_as_many_as_it_has_begun_pieces_of_4_kb() -> None:
    client = Sending(of_three(per_client=30, per_address=100, in_all=100), HERE, {})
    sizes = (COUNTED_BYTES, COUNTED_BYTES + 1, 16 * COUNTED_BYTES, 11 * COUNTED_BYTES)  # 1, 2, 16 and 11
    assert [client.take("messages", 1.0, size) for size in sizes] == [0] * 4
    with pytest.raises(TooMany):
        client.take("messages", 1.0)
    assert client.take("messages", 1.04) == 0


def test_large_messages_of_one_client_count_for_its_address_and_for_all() -> None:
    traffic = of_three(per_client=100, per_address=6, in_all=5)
    client = Sending(traffic, HERE, {})
    assert client.take("messages", 1.0, 6 * COUNTED_BYTES) == pytest.approx(0.2)
    with pytest.raises(TooMany, match="from your address"):
        client.take("messages", 1.0)


def test_a_message_of_any_size_counts_once_where_an_endpoint_has_its_own_limit() -> None:
    sender = Sending(of_three(), HERE, {"messages": 10})
    assert [sender.take("messages", 1.0, 1_000_000) for _ in range(10)] == [0] * 10


def test_messages_and_pings_are_counted_apart() -> None:
    client = Sending(of_three(per_client=1), HERE, {})
    assert [client.take("messages", 1.0), client.take("pings", 1.0), client.take("pings", 1.0)] == [0, 0, 0]


def test_the_clients_of_an_address_share_its_limit() -> None:
    traffic = of_three()
    one, two = Sending(traffic, HERE, {}), Sending(traffic, HERE, {})
    assert [client.take("messages", 1.0) for client in (one, two, one, two)] == [0, 0, 0, 0]
    with pytest.raises(TooMany, match=r"more than 4 messages a second from your address \(server\.messages_per_addr"):
        one.take("messages", 1.0)
    assert traffic.closed["messages_per_address"] == 1
    assert Sending(traffic, ELSEWHERE, {}).take("messages", 1.0) == 0


def test_when_all_clients_send_too_much_nobody_is_closed_but_read_more_slowly() -> None:
    traffic = of_three()
    clients = [Sending(traffic, f"192.0.2.{number}", {}) for number in range(100)]
    waits = [client.take("messages", 1.0) for client in clients]
    assert waits[:7] == pytest.approx([0, 0, 0, 0, 0, 0.2, 0.4])
    assert max(waits) == MAX_HOLD_SECONDS
    assert traffic.held == 95
    assert clients[0].take("messages", 2.9) == 0  # the flood is forgotten two seconds later
    assert traffic.closed["messages_per_client"] == traffic.closed["messages_per_address"] == 0


def test_what_an_endpoint_limits_itself_takes_nothing_from_others() -> None:
    traffic = of_three()
    sender = Sending(traffic, HERE, {"messages": 10})
    assert [sender.take("messages", 1.0) for _ in range(10)] == [0] * 10
    with pytest.raises(TooMany, match=r"^more than 10 messages a second$"):
        sender.take("messages", 1.0)
    assert traffic.held == 0
    assert Sending(traffic, HERE, {}).take("messages", 1.0) == 0


def test_the_longest_reason_fits_into_a_close_frame() -> None:
    sentence = "more than 1000000 messages a second from your address (server.messages_per_address)"
    limit = of_three(per_address=1)
    Sending(limit, HERE, {}).take("messages", 1.0)
    with pytest.raises(TooMany) as caught:
        Sending(limit, HERE, {}).take("messages", 1.0)
    assert str(caught.value) == sentence.replace("1000000", "1")
    assert len(sentence) <= 123


def test_an_address_that_makes_too_many_handshakes_gets_429_and_takes_nothing_from_others() -> None:
    arrivals = Arrivals(Rate(2.0, burst=3), Rate(0.4, burst=1))
    arrivals.take(HERE, 1.0)
    for _ in range(10):
        with pytest.raises(RequestError, match=r"server\.handshakes_per_address") as caught:
            arrivals.take(HERE, 1.0)
        assert (caught.value.status, caught.value.retry_after) == (429, 3)
    arrivals.take(ELSEWHERE, 1.0)
    arrivals.take("127.0.0.1", 1.0)
    with pytest.raises(RequestError, match=r"server\.handshakes_per_second") as caught:
        arrivals.take("127.0.0.1", 1.0)
    assert (caught.value.status, caught.value.retry_after) == (503, 1)
    arrivals.take("127.0.0.1", 1.5)
