from __future__ import annotations

import re

import pytest

from earmark.changes.patch import patched
from earmark.config.settings import Classifier, Config, Decide, Vad
from earmark.errors import ConfigError

LABELS = ("stop", "go", "yes", "no")
CONFIG = Config(
    classifier=(
        Classifier(name="commands", decide=Decide(labels={"stop": 0.9, "go": 0.7}), vad=Vad(max_ms=5000)),
        Classifier(name="moods", mode="sliding"),
    )
)


def test_settings_that_are_not_named_stay() -> None:
    changed = patched(CONFIG, "commands", {"decide": {"on": 0.6}, "vad": {"threshold": 0.7}}, LABELS)
    assert changed.classifier[0] == Classifier(
        name="commands",
        decide=Decide(on=0.6, labels={"stop": 0.9, "go": 0.7}),
        vad=Vad(max_ms=5000, threshold=0.7),
    )
    assert changed.classifier[1] == CONFIG.classifier[1]


def test_thresholds_of_labels_are_merged_and_null_takes_one_away() -> None:
    changed = patched(CONFIG, "commands", {"decide": {"labels": {"stop": None, "yes": 0.5, "no": None}}}, LABELS)
    assert changed.classifier[0].decide.labels == {"go": 0.7, "yes": 0.5}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"decide": {"on": 2}}, "decide.on: must be at most 1 (it is 2)"),
        ({"decide": {"onn": 0.5}}, "decide.onn: no such setting; did you mean on?"),
        ({"decide": {"on": None}}, "decide.on: must be a number, not null"),
        ({"decide": {"labels": {"go": 0.5, "stop": "high"}}}, "decide.labels.stop: must be a number (it is 'high')"),
        ({"decide": {"labels": {"go": 0.5, "stop": 5}}}, "decide.labels.stop: must be at most 1 (it is 5)"),
        ({"decide": {"labels": []}}, "decide.labels: must be a table of names and values, not a list"),
        ({"decide": {"labels": {"stpo": None}}}, 'decide.labels: the model has no label "stpo"; did you mean stop?'),
        ({"decide": {"labels": {"stpo": None, "go": 5}}}, 'decide.labels: the model has no label "stpo"'),
        ({"decide": {"labels": 3}}, "decide.labels: must be a table (it is 3)"),
        ({"decide": 3}, "decide: must be a table (it is 3)"),
        ({"decide": None}, "decide: must be a table, not null"),
        ({"vad": {"hop": 3}}, "vad.hop: no such setting"),
        ({"vad": {"max_ms": -1}}, "vad.max_ms: must be at least 0 (it is -1)"),
        ({"decide": {"on": 0.3, "off": 0.4}}, "decide.off: 0.4 is above on = 0.3"),
        (
            {"hop": 3},
            "hop: only decide, vad, labels, background, template can be changed; "
            "write it in the configuration, and reload",
        ),
    ],
)
def test_what_is_wrong_is_named_as_in_a_configuration_file(changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(sentence)}"):
        patched(CONFIG, "moods", changes, LABELS)


def test_another_label_set_leaves_out_what_the_settings_say_of_labels_that_are_gone() -> None:
    old = Config(
        classifier=(
            Classifier(
                name="sounds",
                labels=("dog", "rain"),
                background=("speech",),
                decide=Decide(labels={"dog": 0.5, "rain": 0.6}, ignore=("_silence_", "rain")),
            ),
        )
    )
    changes = {"labels": ["dog", "wind"], "template": "I hear {}", "decide": {"labels": {"wind": 0.7}, "on": 0.4}}
    assert patched(old, "sounds", changes, ("dog", "rain", "speech")).classifier == (
        Classifier(
            name="sounds",
            labels=("dog", "wind"),
            background=("speech",),
            template="I hear {}",
            decide=Decide(on=0.4, labels={"dog": 0.5, "wind": 0.7}, ignore=("_silence_",)),
        ),
    )


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"labels": ["a", "a"]}, 'labels: "a" stands there 2 times'),
        ({"labels": ["a"]}, "labels: one alone always has the score 1;"),
        ({"labels": 3}, "labels: must be a list (it is 3)"),
        ({"labels": ["a", 3]}, "labels[1]: must be a text (it is 3)"),
        ({"labels": ["a", "b"], "background": None}, "background: must be a list, not null"),
        ({"labels": ["a", "b"], "template": "a sound"}, "template: 'a sound' must have {} once"),
        ({"labels": ["a", "b"], "decide": {"labels": {"dog": None}}}, 'decide.labels: the model has no label "dog"'),
    ],
)
def test_what_is_wrong_with_a_label_set_is_named(changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(sentence)}"):
        patched(CONFIG, "moods", changes, ("dog", "rain"))
