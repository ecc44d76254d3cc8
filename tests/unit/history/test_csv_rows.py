from __future__ import annotations

import csv
from collections.abc import Iterable

from earmark.broadcast.sink import Published
from earmark.history.csv_rows import FIELDS, csv_text, labels_of
from earmark.protocol.events import ClassifierInfo, Config, Label, Loss, Numbered, Result, Score, Source, encode

TIME = "2026-11-22T07:31:05.120Z"
RESULT = Result(1, TIME, "desk", "words", 1.0, 2.5, result=(Score(0.8, "stop"), Score(0.15, "go")))
ON = Label(2, TIME, "desk", "words", "e-1", "stop", "on", 1.25, score=0.8)
OFF = Label(3, TIME, "desk", "words", "e-1", "stop", "off", 1.25, end=2.5, peak=0.9, reason="quiet")
SOURCE = Source(4, TIME, "desk", "lost", 'it said "no", and left')
LOSS = Loss(5, TIME, "desk", 1.0, 2.0, "worker", classifier="words")
CONFIG = Config(6, TIME, (), (), "api")
LABELS = ("stop", "go")


def rows(
    events: Iterable[Numbered], labels: tuple[str, ...] = LABELS, top_k: int | None = None
) -> list[dict[str, str]]:
    """The rows as another program reads them; cells that are empty are left out."""
    text = csv_text([Published(event, encode(event)) for event in events], labels, top_k)
    return [{name: cell for name, cell in row.items() if cell} for row in csv.DictReader(text.splitlines())]


def info(name: str, *labels: str) -> ClassifierInfo:
    return ClassifierInfo(name, "earmark/test", labels, ("desk",), "speech", "utterance", 1.0, 0.0, "on")


def test_a_result_has_its_scores_in_the_columns_of_their_labels() -> None:
    assert rows([RESULT]) == [
        {"seq": "1", "time": TIME, "type": "result", "source": "desk", "classifier": "words", "label": "stop"}
        | {"score": "0.8", "start": "1.0", "end": "2.5", "stop": "0.8", "go": "0.15"}
    ]


def test_a_label_has_its_state_in_its_column() -> None:
    on, off = rows([ON, OFF])
    head = {"time": TIME, "type": "label", "source": "desk", "classifier": "words", "label": "stop", "start": "1.25"}
    assert on == {"seq": "2", **head, "score": "0.8", "state": "on", "stop": "on"}
    assert off == {"seq": "3", **head, "state": "off", "end": "2.5", "detail": "quiet", "stop": "off"}


def test_other_events_tell_what_they_have() -> None:
    source, loss, config = rows([SOURCE, LOSS, CONFIG])
    head = {"time": TIME, "source": "desk"}
    assert source == {"seq": "4", "type": "source", **head, "state": "lost", "detail": 'it said "no", and left'}
    assert loss == {"seq": "5", "type": "loss", **head, "classifier": "words"} | {
        "start": "1.0",
        "end": "2.0",
        "detail": "worker",
    }
    assert config == {"seq": "6", "time": TIME, "type": "config", "detail": "api"}


def test_scores_beyond_top_k_are_left_out() -> None:
    assert "go" not in rows([RESULT], top_k=1)[0]
    assert "label" in rows([RESULT], top_k=0)[0]


def test_a_result_without_scores_has_no_label() -> None:
    assert "label" not in rows([Result(1, TIME, "desk", "words", 1.0, 2.0)])[0]


def test_a_label_that_has_no_column_is_named_all_the_same() -> None:
    assert rows([ON], labels=("go",))[0]["label"] == "stop"


def test_a_label_with_the_name_of_another_column_gets_a_column_of_its_own() -> None:
    start = Label(2, TIME, "desk", "words", "e-1", "start", "on", 1.25, score=0.8)
    assert rows([start], labels=("start",))[0] == {
        **{"seq": "2", "time": TIME, "type": "label", "source": "desk", "classifier": "words", "label": "start"},
        **{"score": "0.8", "state": "on", "start": "1.25", "label:start": "on"},
    }


def test_columns_do_not_depend_on_the_events() -> None:
    header = csv_text([], LABELS)
    assert header == ",".join([*FIELDS, "stop", "go"]) + "\r\n"
    assert csv_text([Published(LOSS, encode(LOSS))], LABELS).startswith(header)


def test_labels_come_in_the_order_of_the_classifiers_and_each_once() -> None:
    classifiers = [info("words", "stop", "go", "silence"), info("sounds", "silence", "dog, barking")]
    assert labels_of(classifiers, frozenset()) == ("stop", "go", "silence", "dog, barking")
    assert labels_of(classifiers, frozenset({"sounds"})) == ("silence", "dog, barking")
    assert labels_of(classifiers, frozenset({"gone"})) == ()


def test_no_text_is_a_formula_of_a_spreadsheet_and_numbers_stay() -> None:
    hostile = Result(1, TIME, "desk", "words", -1.5, 2.5, result=(Score(-0.8, "=1+2"), Score(0.1, "go")))
    (row,) = rows([hostile], ("=1+2", "go"))
    assert (row["label"], row["score"], row["start"], row["'=1+2"]) == ("'=1+2", "-0.8", "-1.5", "-0.8")
    (row,) = rows([Source(4, TIME, "desk", "lost", "@SUM(A1)")])
    assert row["detail"] == "'@SUM(A1)"
