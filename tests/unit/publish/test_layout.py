from __future__ import annotations

from earmark.config.settings import Decide
from earmark.protocol.events import ClassifierInfo
from earmark.publish.layout import layout

SOUNDS = ClassifierInfo("sounds", "a/model", ("rain", "dog", "bell", "_x_"), ("desk", "door"), "level", "sliding", 1, 1)
WORDS = ClassifierInfo("words", "a/model", ("go", "stop"), ("desk",), "speech", "utterance", 1, 0, "on")
IGNORING = Decide(ignore=("_x_",))


def test_each_source_is_heard_by_the_classifiers_that_name_it() -> None:
    found = layout(("desk", "door"), [(SOUNDS, IGNORING), (WORDS, Decide())], 32)
    assert found.sources == ("desk", "door")
    assert [(each.source, each.classifier) for each in found.heard] == [
        ("desk", "sounds"),
        ("door", "sounds"),
        ("desk", "words"),
    ]


def test_labels_that_never_go_on_are_left_out() -> None:
    (heard,) = layout(("desk",), [(SOUNDS, IGNORING)], 32).heard
    assert heard.labels == heard.shown == ("rain", "dog", "bell")
    assert layout(("desk",), [(WORDS, Decide(ignore=("go", "stop")))], 32).heard == ()


def test_of_too_many_labels_those_with_a_threshold_of_their_own_are_shown_first() -> None:
    (heard,) = layout(("desk",), [(SOUNDS, Decide(labels={"bell": 0.5}))], 2).heard
    assert (heard.labels, heard.shown) == (("rain", "dog", "bell", "_x_"), ("rain", "bell"))
    (heard,) = layout(("desk",), [(SOUNDS, Decide())], 0).heard
    assert heard.shown == ()


def test_commands_do_not_last_so_none_of_them_is_shown_as_on_or_off() -> None:
    (heard,) = layout(("desk",), [(WORDS, Decide())], 32).heard
    assert (heard.utterance, heard.labels, heard.shown) == (True, ("go", "stop"), ())
