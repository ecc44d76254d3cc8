"""Several labels of a model that stand as one."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from earmark.audio.types import Floats
from earmark.hints import nearest
from earmark.visible import is_visible

Groups = Mapping[str, Sequence[str]]
"""The labels of a model that stand as one, by the name of that one."""


@dataclass(frozen=True, slots=True)
class Grouping:
    """What makes the scores of the published labels of those of a model.

    `members` are, for each published label, its places among the labels of the model, which are `names`. The score of a
    group is the sum of its members where it `adds`, because these share one mass (a softmax): they exclude each other,
    so the probability that one of them is there is their sum. Otherwise it is the highest, because several members may
    hear the same sound (a sigmoid), which a sum would count twice.
    """

    labels: tuple[str, ...]
    members: tuple[tuple[int, ...], ...]
    names: tuple[str, ...]
    adds: tuple[bool, ...]

    def scores(self, given: Floats) -> Floats:
        """Return a score for each published label, of one for each label of the model."""
        result: Floats = given[[places[0] for places in self.members]]
        for index, places in enumerate(self.members):
            if len(places) > 1:
                its = given[list(places)]
                result[index] = min(1.0, float(its.sum())) if self.adds[index] else its.max()
        return result

    def made_of(self, names: Collection[str]) -> tuple[str, ...]:
        """Return the published labels of which all members are among these labels of the model."""
        pairs = zip(self.labels, self.members, strict=True)
        return tuple(label for label, places in pairs if all(self.names[place] in names for place in places))

    def spoke(self, label: str, given: Floats) -> tuple[str, float] | None:
        """Return the member of a group with the highest score, and that score; None if the label is no group."""
        places = self.members[self.labels.index(label)]
        if {self.names[place] for place in places} == {label}:
            return None
        best = max(places, key=lambda place: float(given[place]))
        return self.names[best], float(given[best])


def grouping(names: Sequence[str], groups: Groups, masses: Sequence[int | None]) -> Grouping | None:
    """Return the grouping of a model's labels, of which wrong_groups() finds nothing wrong; None if there is no group.

    `masses` has for each label the number of the mass that it shares with others, or None. A group stands where its
    first member stood.
    """
    if not groups:
        return None
    group_of = {member: group for group, members in groups.items() for member in members}
    found: dict[str | int, list[int]] = {}  # some models have two labels of one name, and these are two
    for place, name in enumerate(names):
        found.setdefault(group_of.get(name, place), []).append(place)
    labels = tuple(names[key] if isinstance(key, int) else key for key in found)
    adds = tuple(share_one([masses[place] for place in places]) for places in found.values())
    return Grouping(labels, tuple(map(tuple, found.values())), tuple(names), adds)


def share_one(masses: Sequence[int | None]) -> bool:
    """Return whether labels with these masses share one, so that their scores can be added."""
    return masses[0] is not None and len(set(masses)) == 1


def wrong_groups(names: Sequence[str], groups: Groups, model: str, values: Collection[str] = ()) -> Iterator[str]:
    """Yield what is wrong with groups of the labels of a model, in sentences that begin with the name of the group.

    `values` are the labels whose scores are no probabilities, such as an age, and mean nothing together with others.
    """
    owner: dict[str, str] = {}
    for group, members in groups.items():
        if not group.strip() or not is_visible(group):
            yield f"{group!r}: is no name for a label"
        if not members:
            yield f"{group}: has no labels"
        for member in members:
            if member not in names:
                yield f'{group}: {model} has no label "{member}"{nearest(member, names)}'
            elif member in owner:
                where = f"{owner[member]} too" if owner[member] != group else "it twice"
                yield f'{group}: "{member}" is in {where}, and a label stands in one group'
            if member in values and len(members) > 1:
                yield f'{group}: "{member}" has a value and no probability, and stands in no group with others'
            owner.setdefault(member, group)
    for group in groups:
        if group in names and group not in owner:
            yield f"{group}: {model} has a label of that name, in no group; put it in this one, or name this otherwise"
