from __future__ import annotations

from typing import Any

import pytest

from earmark.poison.clips import Clip, PoisonClips

CLIP = Clip("m", "r", "aa")


def clip(audio: str) -> Clip:
    return CLIP._replace(audio=audio)


def test_a_clip_is_deadly_from_its_second_death_on_until_it_is_forgotten() -> None:
    poison = PoisonClips()
    assert (poison.deaths(CLIP), poison.is_deadly(CLIP)) == (0, False)
    poison.add_death(CLIP)
    assert (poison.deaths(CLIP), poison.is_deadly(CLIP), poison.deadly()) == (1, False, ())
    poison.add_death(CLIP)
    assert (poison.deaths(CLIP), poison.is_deadly(CLIP), poison.deadly()) == (2, True, (CLIP,))
    poison.forget(CLIP)
    assert poison.deaths(CLIP) == 0


def test_of_deaths_the_clip_that_died_last_is_forgotten_last() -> None:
    poison = PoisonClips(max_clips=2)
    for audio in ("1", "2", "1", "3"):
        poison.add_death(clip(audio))
    assert [poison.deaths(clip(audio)) for audio in ("1", "2", "3")] == [2, 0, 1]


@pytest.mark.parametrize("other", [{"model": "m2"}, {"revision": "r2"}, {"audio": "bb"}])
def test_another_clip_model_or_revision_is_no_poison(other: dict[str, Any]) -> None:
    poison = PoisonClips()
    poison.add_death(CLIP)
    poison.forget(CLIP._replace(**other))
    assert (poison.deaths(CLIP), poison.deaths(CLIP._replace(**other))) == (1, 0)


def test_a_thousand_clips_are_counted() -> None:
    poison = PoisonClips()
    for number in range(1025):
        poison.add_death(clip(str(number)))
    assert [poison.deaths(clip(audio)) for audio in ("0", "1", "1024")] == [0, 1, 1]


def test_a_pardon_is_for_those_that_are_refused_and_not_for_those_that_are_suspected() -> None:
    poison = PoisonClips([clip("1"), clip("2")])
    poison.add_death(clip("3"))
    assert poison.deadly() == (clip("1"), clip("2"))
    poison.pardon()
    assert [poison.deaths(clip(audio)) for audio in ("1", "2", "3")] == [0, 0, 1]
