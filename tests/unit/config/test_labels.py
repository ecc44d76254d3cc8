from __future__ import annotations

import pytest

from earmark.config.complaints import complaints
from earmark.config.labels import MAX_LABEL_LENGTH, MAX_LABELS, MAX_TEMPLATE_LENGTH, TEMPLATE, wrong_label_set
from earmark.config.settings import Classifier, Config

ALL_TAKEN = tuple(f"sound {number}" for number in range(MAX_LABELS))


@pytest.mark.parametrize(
    ("labels", "background", "template"),
    [
        ((), (), TEMPLATE),
        (("a dog barking", "Hundegebell, laut"), ("speech",), "{}"),
        (ALL_TAKEN, (), "I hear {} here"),
        (ALL_TAKEN[1:], ("x" * MAX_LABEL_LENGTH,), "{}" + "x" * (MAX_TEMPLATE_LENGTH - 2)),
        (("Dog", "dog"), (), TEMPLATE),
        (("می\u200cروم", "র\u200d্যাপ", "👩\u200d🚒"), ("क्\u200dष",), "من {} می\u200cشنوم"),
    ],
)
def test_label_sets_within_the_bounds_are_taken(
    labels: tuple[str, ...], background: tuple[str, ...], template: str
) -> None:
    assert list(wrong_label_set(labels, background, template)) == []


@pytest.mark.parametrize(
    ("labels", "background", "template", "wrong"),
    [
        ((" ", "rain"), (), TEMPLATE, ("labels", "a label is empty")),
        ((" rain",), (), TEMPLATE, ("labels", "' rain' has spaces at its ends, or characters that cannot be seen")),
        (("r\0",), (), TEMPLATE, ("labels", "'r\\x00' has spaces at its ends, or characters that cannot be seen")),
        (
            ("d\u200dog",),
            (),
            TEMPLATE,
            ("labels", r"'d\u200dog' has spaces at its ends, or characters that cannot be seen"),
        ),
        (("a", "x" * 101), (), TEMPLATE, ("labels", f'"{"x" * 20}…" has 101 characters; 100 is the most')),
        (("a", "b", "a"), (), TEMPLATE, ("labels", '"a" stands there 2 times')),
        (("a", "b"), ("a",), TEMPLATE, ("labels", '"a" stands there 2 times, background included')),
        (("a", "b"), ("c", "c"), TEMPLATE, ("background", '"c" stands there 2 times, background included')),
        (ALL_TAKEN, ("one more",), TEMPLATE, ("labels", "there are 257 with the background; 256 is the most")),
        ((), ("speech",), TEMPLATE, ("labels", "there is only a background, and that never goes on")),
        (
            ("a", "b"),
            (),
            "a sound",
            ("template", "'a sound' must have {} once, where the label goes, and no other brace"),
        ),
        (("a", "b"), (), "{} {}", ("template", "'{} {}' must have {} once, where the label goes, and no other brace")),
        (
            ("a", "b"),
            (),
            "{0} {}",
            ("template", "'{0} {}' must have {} once, where the label goes, and no other brace"),
        ),
        (
            ("a", "b"),
            (),
            "{}" + "x" * 199,
            ("template", "it has more than 200 characters, or some that cannot be seen"),
        ),
    ],
)
def test_what_is_wrong_with_a_label_set_is_told_by_its_setting(
    labels: tuple[str, ...], background: tuple[str, ...], template: str, wrong: tuple[str, str]
) -> None:
    assert list(wrong_label_set(labels, background, template)) == [wrong]


def test_one_label_alone_would_always_be_on() -> None:
    def told(*background: str) -> list[str]:
        chosen = Classifier(name="sounds", labels=("a dog",), background=background)
        return list(complaints(Config(classifier=(chosen,))))

    alone = "classifier[0].labels: one alone always has the score 1; name others, or what else there is in `background`"
    assert (told(), told("speech")) == ([alone], [])
