"""What the README.md of a learnt model says to its user."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from earmark.audio.types import Samples
from earmark.checkpoints.checkpoint import Checkpoint
from earmark.learning.card import card
from earmark.learning.leave_one_out import Evaluation, table

FIGURES = Evaluation(
    labels=("lamp", "curtain"),
    counts=((18, 1, 1), (0, 9, 1)),
    nearest=((19, 1), (0, 10)),
    threshold=0.7,
    other=1000,
    false=3,
    rounds=15,
)
MISTAKEN = Evaluation(("lamp", "lamb"), ((5, 4, 1), (4, 6, 0)), ((5, 5), (4, 6)), 0.7, 1000, 3, 15)
NO_BACKGROUNDS: list[Samples] = []


def base(licence: str = "cc-by-4.0") -> Checkpoint:
    return Checkpoint("earmark/commands", "", ("yes", "no"), 16_000, "whisper", None, 32_000, 32_000, 1, "", licence)


def made(
    figures: Evaluation = FIGURES, *, licence: str = "cc-by-4.0", backgrounds: list[Samples] = NO_BACKGROUNDS
) -> str:
    return card("lights", base(licence), figures, backgrounds, date(2026, 3, 9))


def test_the_card_says_what_was_learnt_when_from_how_much_and_upon_what() -> None:
    text = made()
    assert "\n# lights\n" in text
    assert "\n**lamp**, **curtain**: learnt by `earmark learn` on 2026-03-09 from 30 examples, upon" in text
    assert "upon `earmark/commands`, whose encoder it is," in text


def test_the_card_begins_with_what_the_hugging_face_hub_reads() -> None:
    assert made().splitlines()[:5] == [
        "---",
        "library_name: transformers",
        "pipeline_tag: audio-classification",
        "license: cc-by-4.0",
        "tags: [audio-classification, keyword-spotting]",
    ]


@pytest.mark.parametrize(("licence", "told"), [("cc-by-4.0", "cc-by-4.0"), ("", "other")])
def test_the_licence_is_that_of_the_base_if_it_names_one(licence: str, told: str) -> None:
    text = made(licence=licence)
    assert f"\nlicense: {told}\n" in text
    assert f"come with `earmark/commands` under {told};" in text


def test_the_card_has_the_figures_and_says_how_they_were_found() -> None:
    text = made()
    assert f"\n\n{table(FIGURES)}\n\n" in text
    assert '(15 rounds); "missed": with no label at\n0.7 or more.' in text
    assert "Of 1000 windows of other words, sentences and noise, left out likewise, 3 drew a label at 0.7." in text


@pytest.mark.parametrize(
    ("backgrounds", "told"),
    [
        ([], "`_background_` noise."),
        ([np.zeros(16_000, np.float32), np.zeros(48_000, np.float32)], "noise, with 4 s of the user's own room."),
    ],
)
def test_the_card_tells_how_much_of_the_users_room_was_heard(backgrounds: list[Samples], told: str) -> None:
    assert told in made(backgrounds=backgrounds)


def test_advice_stands_before_the_terms_one_point_a_sentence() -> None:
    head, _, rest = made(MISTAKEN).partition("expect less.\n\n* lamp and lamb are too alike: 45% of their examples")
    assert head
    assert rest.index("record more examples of both\n\n## Terms") > 0
    assert "{" not in made(MISTAKEN)


def test_a_good_model_gets_no_advice() -> None:
    assert "other\nmicrophones or a noisier place, expect less.\n\n## Terms\n\n" in made()
