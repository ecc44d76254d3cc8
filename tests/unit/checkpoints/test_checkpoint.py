"""The usual length of a window, labels and functions that the settings name, and what is remarked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from earmark.checkpoints.checkpoint import Checkpoint, Part, told
from earmark.checkpoints.reader import embedded, read
from earmark.errors import ModelError


@pytest.mark.parametrize(
    ("window", "limit", "minimum", "usual"),
    [
        (48_000, 48_000, 1, 48_000),
        (None, None, 400, 16_000),
        (None, 10_000, 400, 10_000),
        (None, 160_000, 400, 16_000),
        (None, None, 20_000, 20_000),
    ],
)
def test_a_window_is_usually_as_long_as_the_model_or_a_second_long(
    window: int | None, limit: int | None, minimum: int, usual: int
) -> None:
    found = Checkpoint("a/b", "/a/b", ("yes",), 16_000, "whisper", None, window, limit, minimum)
    assert found.usual_length == usual


def moods(*labels: str, **fields: Any) -> Checkpoint:
    kind = fields.pop("kind", "wav2vec2")
    limit = fields.pop("limit", None)
    return replace(
        Checkpoint("a/b", "/a/b", labels, 16_000, kind, fields.pop("problem", None), None, limit, 400), **fields
    )


@pytest.mark.parametrize(
    ("problem", "function"),
    [
        (None, "softmax"),
        ("single_label_classification", "softmax"),
        ("multi_label_classification", "sigmoid"),
        ("regression", "none"),
    ],
)
def test_the_settings_function_rules_over_the_problem_type_and_a_requests_over_both(
    problem: str | None, function: str
) -> None:
    found = moods("a", "b", problem=problem)
    assert (found.scoring, found.named((), "sigmoid", "").scoring) == (function, "sigmoid")
    assert found.named((), "sigmoid", "").scored_by("none") == "none"
    assert found.named((), "sigmoid", "").named((), None, "").scoring == function


def test_a_request_for_a_function_of_a_mixed_answer_leaves_its_values_alone() -> None:
    found = moods("age", "female", "male", parts=(Part(1, "none"), Part(2, "softmax")))
    assert found.scored_by(None) == found.scoring == (Part(1, "none"), Part(2, "softmax"))
    assert found.scored_by("sigmoid") == found.named((), "sigmoid", "").scoring == (Part(1, "none"), Part(2, "sigmoid"))
    assert told(found.scoring, found.labels) == "none (age), softmax (female, male)"
    assert told("softmax", found.labels) == "softmax"


def test_the_labels_of_a_regression_are_values_unless_the_settings_make_scores_of_them() -> None:
    regression = moods("arousal", "valence", problem="regression")
    assert regression.values == ("arousal", "valence")
    assert regression.named((), "sigmoid", "").values == ()
    assert moods("a", "b").named((), "none", "").values == ()
    assert moods("age", "female", "male", parts=(Part(1, "none"), Part(2, "softmax"))).values == ("age",)


def test_labels_of_the_settings_take_the_place_of_the_checkpoints_and_go_again() -> None:
    nameless = moods("LABEL_0", "LABEL_1")
    named = nameless.named(("calm", "angry"), None, "model[0]")
    assert (named.labels, named.own_labels) == (("calm", "angry"), ("LABEL_0", "LABEL_1"))
    assert named.named((), None, "").labels == nameless.labels
    assert named.named(("sad", "glad"), None, "model[0]").labels == ("sad", "glad")


def test_a_wrong_number_of_labels_names_the_setting_and_the_number_that_is_right() -> None:
    with pytest.raises(ModelError) as caught:
        moods("LABEL_0", "LABEL_1").named(("calm",), None, "model[3]")
    assert str(caught.value) == "model[3].labels: 1 names, and a/b has 2 labels (LABEL_0, LABEL_1)"
    assert caught.value.exit_code == 2  # as of every mistake in the configuration


def test_labels_without_names_are_a_remark_that_names_the_setting() -> None:
    (remark,) = moods("LABEL_0", "LABEL_1").remarks
    assert remark == (
        "a/b: its labels have no names (LABEL_0, LABEL_1); set `labels` of its [[model]], 2 names in their order"
    )
    assert moods("LABEL_0", "LABEL_1").named(("calm", "angry"), None, "").remarks == ()
    assert moods("calm", "LABEL_1").remarks == ()


@pytest.mark.parametrize("kind", ["whisper", "audio-spectrogram-transformer"])
def test_an_architecture_that_always_encodes_many_seconds_is_a_remark_with_its_price(kind: str) -> None:
    (remark,) = moods("a", kind=kind, limit=480_000).remarks
    assert remark.startswith("a/b: always encodes 30 s, so a window of 1 s costs as much as one of 30 s; set a long")
    assert moods("a", kind=kind, limit=160_000).remarks != ()
    assert moods("a", kind=kind, limit=159_000).remarks == moods("a", limit=480_000).remarks == ()


@pytest.mark.parametrize("folder", embedded().values(), ids=lambda folder: folder.name)
def test_the_embedded_models_draw_no_remark(folder: Path) -> None:
    assert read(folder).remarks == ()


def test_what_a_model_answers_and_takes_is_told_in_lines() -> None:
    mixed = moods("age", "female", "male", parts=(Part(1, "none"), Part(2, "softmax")))
    assert mixed.told == (
        "answers with 3 labels: age (a value), female, male",
        "function: none (age), softmax (female, male)",
        "takes sound of 16000 Hz, in windows of 0.025 s or more",
    )
    assert moods("a", limit=160_000).told[2].endswith("0.025 s or more, 10 s at most")
    assert replace(moods("a", limit=160_000), window=160_000).told[2].endswith("10 s, to which shorter ones are padded")
    assert moods(*map(str, range(30))).told[0].endswith("18, 19, ...")
