from __future__ import annotations

import tomllib

import msgspec

from earmark.config.settings import Decide, Vad
from earmark.control.steering import ClassifierStatus, classifier_status
from earmark.control.toml_lines import toml_lines
from earmark.protocol.events import ClassifierInfo, LabelSet

INFO = ClassifierInfo("words", "earmark/commands", ("yes", "no way"), ("a",), "speech", "utterance", 1, 0)


def status(decide: Decide | None = None, vad: Vad | None = None) -> ClassifierStatus:
    return classifier_status(INFO, decide or Decide(), vad or Vad())


def test_the_lines_have_what_was_changed_in_tables_below_the_classifier() -> None:
    decide, vad = Decide(on=0.7, labels={"yes": 0.9, "no way": 0.6}), Vad(hangover_ms=200)
    names = {"decide": ("on", "labels"), "vad": ("hangover_ms",)}
    assert toml_lines(status(decide, vad), names) == (
        '[[classifier]]\nname = "words"\n\n'
        "[classifier.vad]\nhangover_ms = 200\n\n"
        "[classifier.decide]\non = 0.7\n\n"
        '[classifier.decide.labels]\nyes = 0.9\n"no way" = 0.6\n'
    )


def test_the_lines_are_toml_that_says_the_same_again() -> None:
    decide = Decide(on=0.7, smooth=2, exclusive=False, ignore=("yes",), labels={'a"b': 1e-05})
    names = ("on", "smooth", "exclusive", "ignore", "labels")
    text = toml_lines(status(decide), {"decide": names})
    table = tomllib.loads(text)["classifier"][0]
    assert (table["name"], msgspec.convert(table["decide"], Decide)) == ("words", decide)


def test_where_the_last_own_threshold_was_taken_away_the_lines_say_that_there_is_none() -> None:
    text = toml_lines(status(Decide(labels={})), {"decide": ("labels",)})
    assert tomllib.loads(text) == {"classifier": [{"name": "words", "decide": {"labels": {}}}]}


def test_given_labels_stand_above_the_tables_and_their_background_is_no_threshold() -> None:
    info = msgspec.structs.replace(INFO, label_set=LabelSet(("yes",), ("no way",), "I hear {}"))
    given = classifier_status(info, Decide(on=0.7), Vad())
    assert given.thresholds == {"yes": 0.7}
    assert toml_lines(given, {"label_set": ("labels", "background"), "decide": ("on",)}) == (
        '[[classifier]]\nname = "words"\nlabels = ["yes"]\nbackground = ["no way"]\n\n[classifier.decide]\non = 0.7\n'
    )
    assert toml_lines(given, {"label_set": ("template",), "decide": (), "vad": ()}) == (
        '[[classifier]]\nname = "words"\ntemplate = "I hear {}"\n'
    )


def test_without_changes_there_are_no_lines() -> None:
    assert toml_lines(status(), {}) == toml_lines(status(), {"decide": (), "vad": ()}) == ""
