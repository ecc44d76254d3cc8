from __future__ import annotations

from earmark.gateway.nodes import SILENT, Nodes
from earmark.protocol.events import Config, Hello, Source, SourceInfo
from tests.serving import CLASSIFIERS, SOURCES, TIME, result

HELLO = Hello("0.1.0", "9f2c", 7, 1, SOURCES, CLASSIFIERS)


def nodes(*names: str, qualify: bool = False) -> Nodes:
    made = Nodes(qualify, 60.0)
    for name in names:
        made.hello(name, HELLO, 100.0)
    return made


def test_sources_of_one_name_are_one_unless_they_are_told_apart_by_their_node() -> None:
    assert [each.name for each in nodes("home", "hall").sources(100.0)] == ["desk"]
    apart = nodes("home", "hall", qualify=True)
    assert [each.name for each in apart.sources(100.0)] == ["home/desk", "hall/desk"]
    assert [each.sources for each in apart.classifiers()] == [("home/desk", "hall/desk")] * 2
    assert apart.as_here("hall", result(7), 9, 100.0) == result(9, source="hall/desk")


def test_the_sources_of_a_node_that_is_silent_are_lost_until_it_is_heard_again() -> None:
    home = nodes("home")
    assert (home.silent(160.0), home.sources(160.0)) == ([], SOURCES)
    assert (home.silent(160.1), home.sources(160.1)) == (["home"], (SourceInfo("desk", "lost", detail=SILENT),))
    home.hello("home", HELLO, 160.2)
    assert home.sources(160.2) == SOURCES


def test_of_two_sources_of_one_name_the_one_that_is_heard_is_shown() -> None:
    both = nodes("home", "hall")
    both.hello("home", HELLO, 200.0)
    assert both.sources(200.0) == SOURCES
    both.hello("hall", HELLO, 300.0)
    assert both.sources(300.0) == SOURCES


def test_events_change_what_is_known_of_their_node() -> None:
    home = nodes("home")
    home.note("home", Source(8, TIME, "desk", "muted", detail="zeros"))
    assert home.sources(100.0) == (SourceInfo("desk", "muted", detail="zeros"),)
    home.note("home", Source(9, TIME, "gone", "muted"))
    home.note("nobody", Source(1, TIME, "desk", "lost"))
    assert [each.state for each in home.sources(100.0)] == ["muted"]
    change = Config(10, TIME, (SourceInfo("hall", "starting"),), CLASSIFIERS[:1], "api")
    home.note("home", change)
    assert home.as_here("home", change, 12, 100.0) == Config(12, TIME, change.sources, change.classifiers, "api")
    assert (len(home), home.classifiers()) == (1, CLASSIFIERS[:1])


def test_only_the_sources_that_are_served_are_shown_and_the_classifiers_that_hear_them() -> None:
    some, none = Nodes(False, 60.0, ("desk",)), Nodes(False, 60.0, ("door",))
    for each in (some, none):
        each.hello("home", HELLO, 100.0)
    assert (some.sources(100.0), some.classifiers()) == (SOURCES, CLASSIFIERS)
    assert (none.sources(100.0), none.classifiers()) == ((), ())
