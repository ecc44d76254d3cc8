from __future__ import annotations

import asyncio

import pytest

from earmark_client.route.perform import Performer, arguments
from earmark_client.routing.route_queue import Job
from earmark_client.routing.settings import Mqtt, Route
from earmark_client.routing.template import fields
from tests.routes import at, route, word

VALUES = fields(word('x"; rm -rf / #', 2, source="--help"), "r", "e:1")


def test_a_placeholder_is_one_argument_whatever_is_in_it() -> None:
    assert arguments(route(run=("lamp", "to {label}", "{source}")), VALUES) == ("lamp", 'to x"; rm -rf / #', "--help")


def test_a_notification_is_one_argument_that_is_no_option_and_no_script() -> None:
    notice = route(run=None, notify="{label}")
    assert arguments(notice, VALUES, "linux")[-3:] == ("--", "Earmark", 'x"; rm -rf / #')
    mac = arguments(notice, VALUES, "darwin")
    assert mac[0] == "osascript"
    assert mac[-1] == 'x"; rm -rf / #'
    assert [part for part in mac[:-1] if "rm -rf" in part] == []


def test_a_notification_without_a_text_tells_the_label_and_the_source() -> None:
    assert arguments(route(run=None, notify=True), fields(word("go", 1), "r", "e:1"), "linux")[-1] == "go (desk)"


@pytest.mark.parametrize(
    "wrong",
    [
        route(run=None, webhook="http://a..b/"),
        route(run=None, mqtt=Mqtt(host="a..b", topic="t")),
    ],
)
def test_an_action_that_cannot_be_tried_at_all_has_failed_and_the_route_goes_on(wrong: Route) -> None:
    performer = Performer("/", {}, {}, lambda: at(1), lambda pause: 0.0)
    outcome, tries = asyncio.run(performer.perform(Job(wrong, "e:1", word("go", 1), "{}")))
    assert (outcome.how, tries) == ("failed", 1)
    assert outcome.detail
