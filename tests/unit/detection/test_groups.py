from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.audio.types import Floats
from earmark.detection.groups import Grouping, Groups, grouping, wrong_groups

NAMES = ("Speech", "Dog", "Bark", "Rain", "Bow-wow")
DOG: Groups = {"dog": ("Dog", "Bark", "Bow-wow")}
SOFTMAX, SIGMOID = (0, 0, 0, 0, 0), (None, None, None, None, None)


def made(groups: Groups, masses: tuple[int | None, ...] = SOFTMAX) -> Grouping:
    found = grouping(NAMES, groups, masses)
    assert found is not None
    return found


def answer(*scores: float) -> Floats:
    return np.array(scores, np.float32)


def test_a_group_stands_as_one_label_where_its_first_member_stood() -> None:
    assert made(DOG).labels == ("Speech", "dog", "Rain")


def test_members_that_share_a_mass_are_added_for_they_exclude_each_other() -> None:
    assert made(DOG).scores(answer(0.1, 0.3, 0.25, 0.2, 0.15)).tolist() == pytest.approx([0.1, 0.7, 0.2])


def test_of_members_that_each_have_a_score_of_their_own_the_highest_counts() -> None:
    assert made(DOG, SIGMOID).scores(answer(0.9, 0.8, 0.7, 0.2, 0.1)).tolist() == pytest.approx([0.9, 0.8, 0.2])


def test_members_of_two_parts_of_a_head_are_not_added() -> None:
    found = made({"pair": ("Speech", "Rain")}, (0, 0, 0, 1, 1))
    assert found.scores(answer(0.6, 0.2, 0.2, 0.7, 0.3)).tolist() == pytest.approx([0.7, 0.2, 0.2, 0.3])


def test_a_sum_is_no_more_than_one() -> None:
    found = made({"all": NAMES})
    assert found.scores(np.full(5, np.float32(0.2) + np.float32(1e-7))).tolist() == [1.0]


def test_the_scores_of_the_model_stay_as_they_are() -> None:
    given_to = answer(0.1, 0.3, 0.25, 0.2, 0.15)
    made(DOG).scores(given_to)
    assert given_to.tolist() == answer(0.1, 0.3, 0.25, 0.2, 0.15).tolist()


def test_the_member_with_the_highest_score_is_the_one_that_spoke() -> None:
    assert made(DOG).spoke("dog", answer(0.1, 0.25, 0.5, 0.0, 0.125)) == ("Bark", 0.5)
    assert made(DOG).spoke("Rain", answer(0.1, 0.25, 0.5, 0.0, 0.125)) is None


def test_a_group_may_bear_the_name_of_one_of_its_members() -> None:
    found = made({"Dog": ("Bark", "Dog")})
    assert found.labels == ("Speech", "Dog", "Rain", "Bow-wow")
    assert found.spoke("Dog", answer(0, 0.5, 0.25, 0, 0)) == ("Dog", 0.5)
    assert not list(wrong_groups(NAMES, {"Dog": ("Bark", "Dog")}, "a/model"))


def test_two_labels_of_one_name_stay_two_and_are_both_in_the_group_that_names_them() -> None:
    twice = ("Chop", "Rain", "Chop")
    apart, together = grouping(twice, {"wet": ("Rain",)}, (0, 0, 0)), grouping(twice, {"axe": ("Chop",)}, (0, 0, 0))
    assert apart is not None
    assert together is not None
    assert apart.labels == ("Chop", "wet", "Chop")
    assert together.scores(answer(0.25, 0.5, 0.25)).tolist() == [0.5, 0.5]


def test_without_groups_there_is_no_grouping() -> None:
    assert grouping(NAMES, {}, SOFTMAX) is None


@given(st.lists(st.floats(0, 1, width=32), min_size=5, max_size=5))
def test_a_softmax_keeps_its_mass(logits: list[float]) -> None:
    powers = np.exp(np.array(logits, np.float32))
    scores: Floats = powers / powers.sum()
    assert made(DOG).scores(scores).sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("groups", "sentences"),
    [
        (DOG, []),
        ({"dog": ("Dog", "Barc")}, ['dog: a/model has no label "Barc"; did you mean Bark?']),
        ({"dog": ()}, ["dog: has no labels"]),
        ({" ": ("Dog",)}, ["' ': is no name for a label"]),
        ({"سگ\u200cها": ("Dog",)}, []),
        ({"do\u200cg": ("Dog",)}, [r"'do\u200cg': is no name for a label"]),
        (
            {"dog": ("Dog", "Bark"), "loud": ("Bark",)},
            ['loud: "Bark" is in dog too, and a label stands in one group'],
        ),
        ({"dog": ("Dog", "Dog")}, ['dog: "Dog" is in it twice, and a label stands in one group']),
        (
            {"Speech": ("Dog", "Bark")},
            ["Speech: a/model has a label of that name, in no group; put it in this one, or name this otherwise"],
        ),
    ],
)
def test_what_is_wrong_with_groups_is_said(groups: Groups, sentences: list[str]) -> None:
    assert list(wrong_groups(NAMES, groups, "a/model")) == sentences


def test_a_value_stands_in_no_group_with_others() -> None:
    assert list(wrong_groups(NAMES, {"dog": ("Dog", "Bark")}, "a/model", ("Bark",))) == [
        'dog: "Bark" has a value and no probability, and stands in no group with others'
    ]
    assert not list(wrong_groups(NAMES, {"bark": ("Bark",)}, "a/model", ("Bark",)))


def test_which_labels_are_made_of_others_alone() -> None:
    assert made(DOG).made_of(("Dog", "Bark", "Bow-wow", "Rain")) == ("dog", "Rain")
    assert made(DOG).made_of(("Dog", "Bark")) == ()


def test_a_group_takes_the_name_of_a_label_that_stands_in_another_one() -> None:
    groups = {"Rain": ("Dog", "Bark"), "wet": ("Rain",)}
    assert not list(wrong_groups(NAMES, groups, "a/model"))
    assert made(groups).labels == ("Speech", "Rain", "wet", "Bow-wow")
