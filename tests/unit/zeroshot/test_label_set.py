from __future__ import annotations

from earmark.zeroshot.label_set import LabelSet, parts


def test_the_names_are_the_labels_and_then_the_background() -> None:
    assert LabelSet(("dog", "rain"), ("speech",)).names == ("dog", "rain", "speech")


def test_a_text_is_the_template_with_the_label_in_it_whatever_the_label_is() -> None:
    chosen = LabelSet(("a dog", "{0.__class__} %s {}"), template="I hear {}, now")
    assert chosen.texts == ("I hear a dog, now", "I hear {0.__class__} %s {}, now")


def test_without_a_template_it_is_that_of_transformers() -> None:
    assert LabelSet(("rain",)).texts == ("This is a sound of rain.",)


def test_parts_are_as_long_as_they_may_be() -> None:
    assert parts("abcdefg", 3) == ["abc", "def", "g"]
    assert parts("", 3) == []
