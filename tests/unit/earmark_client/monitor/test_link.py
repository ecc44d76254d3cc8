"""What the monitor says of its connection."""

from __future__ import annotations

from earmark.protocol.events import Tick
from earmark_client.monitor.link import BEHIND_S, SILENT_S, Link
from tests.unit.earmark_client.sessions.test_session import BEGIN, hello, label, utc


def connected() -> Link:
    link = Link()
    link.takes(hello(), BEGIN)
    return link


def test_it_is_connecting_until_the_daemon_greets() -> None:
    assert (Link().words(BEGIN), connected().words(BEGIN)) == ("connecting", "connected")
    assert (Link().holds(BEGIN), connected().holds(BEGIN)) == (False, True)


def test_it_is_gone_since_the_first_failure_with_the_newest_reason() -> None:
    link = connected()
    link.fails("lost", BEGIN + 1)
    link.fails("nothing listens", BEGIN + 9)

    assert link.since == BEGIN + 1
    assert link.words(BEGIN + 10).endswith(": nothing listens")
    assert not link.holds(BEGIN + 10)


def test_old_events_mean_that_it_is_behind_until_the_daemon_speaks_of_now() -> None:
    link = connected()
    link.takes(label(0, "on"), BEGIN + BEHIND_S + 1)
    behind = link.words(BEGIN + BEHIND_S + 1)
    link.takes(Tick(1, utc(5)), BEGIN + 5)

    assert (behind, link.words(BEGIN + 5)) == ("behind by 4.0 s", "connected")


def test_a_daemon_that_says_nothing_at_all_gives_no_sign_of_life() -> None:
    assert connected().words(BEGIN + SILENT_S) == "no sign of life for 12.0 s"


def test_the_time_is_that_of_the_daemon() -> None:
    link = connected()
    link.takes(Tick(1, utc(100)), BEGIN + 1)

    assert link.time(BEGIN + 2) == BEGIN + 101
