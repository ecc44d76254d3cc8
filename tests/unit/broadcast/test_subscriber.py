from __future__ import annotations

from earmark.broadcast.subscriber import Subscriber
from earmark.broadcast.subscription import Subscription
from tests.transports import HandTransport


def ignore(_code: int, _reason: str) -> None:
    pass


def subscriber(subscription: Subscription) -> Subscriber:
    return Subscriber(HandTransport(), subscription, ignore)


def test_a_new_subscriber_keeps_up_and_waits_for_nothing() -> None:
    new = subscriber(Subscription())
    assert (new.backlog, new.paused, new.timer) == (None, False, None)


def test_a_subscriber_writes_to_its_own_transport() -> None:
    new = subscriber(Subscription())
    new.write(b"frame")
    assert isinstance(new.transport, HandTransport)
    assert new.transport.frames == [b"frame"]


def test_a_subscriber_has_a_name_only_if_it_was_given_one() -> None:
    named = Subscriber(HandTransport(), Subscription(), ignore, "dashboard")
    assert (subscriber(Subscription()).name, named.name) == ("", "dashboard")


def test_what_has_not_left_is_counted_by_the_kernel_if_it_can_be_asked_and_else_by_the_transport() -> None:
    transport = HandTransport(buffered=7)
    counts = [Subscriber(transport, Subscription(), ignore, unsent=unsent).unsent() for unsent in (None, lambda: 5)]
    assert counts == [7, 5]


def test_results_are_thinned_only_for_a_subscriber_that_wants_them_so() -> None:
    assert subscriber(Subscription()).throttle is None
    throttle = subscriber(Subscription(every=2.0)).throttle
    assert throttle is not None
    assert throttle.every == 2.0


def test_a_new_filter_takes_the_place_of_the_old_one_and_of_its_throttle() -> None:
    changed = subscriber(Subscription(every=2.0))
    for wanted in (Subscription(every=5.0), Subscription(top_k=1)):
        changed.set_filter(wanted)
        assert changed.subscription is wanted
        assert (changed.throttle.every if changed.throttle else 0.0) == wanted.every
