from __future__ import annotations

import contextlib
import math
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.core.events import Error, Event, Gap, Label, Loss, Result, Score, Source, decode, encode
from earmark.core.subscription import DEFAULT_TYPES, Subscription, parse
from earmark.errors import SubscriptionError

TIME = "2026-11-22T07:31:05.120Z"
RESULT = Result(1, TIME, "desk", "emotion", 0.0, 1.0, result=(Score(0.8, "happy"), Score(0.15, "calm")))
SUPPRESSED = msgspec.structs.replace(RESULT, suppressed="refractory")
ON = Label(2, TIME, "desk", "emotion", "e-1", "happy", "on", 0.0, score=0.7)
OFF = Label(3, TIME, "desk", "emotion", "e-1", "happy", "off", 0.0, end=4.0, peak=0.9, reason="quiet")
SOURCE = Source(4, TIME, "desk", "lost")
LOSS = Loss(5, TIME, "desk", 1.0, 2.0, "device")
WORKER_LOSS = Loss(6, TIME, "desk", 1.0, 2.0, "worker", classifier="emotion")
GAP = Gap(1, 5, "slow")


def passes(event: Event, query: str = "", began: float | None = None) -> bool:
    """`query` is `name=value&name=value`."""
    pairs = [tuple(pair.split("=", 1)) for pair in query.split("&") if pair]
    return parse([(name, value) for name, value in pairs]).select(event, began) is not None


def test_without_parameters_everything_but_suppressed_results_passes() -> None:
    assert parse({}) == Subscription()
    for event in (RESULT, ON, OFF, SOURCE, LOSS, GAP, Error("disk full")):
        assert parse({}).select(event) == encode(event)
    assert parse({}).select(SUPPRESSED) is None


def test_suppressed_results_pass_where_types_names_them() -> None:
    assert passes(SUPPRESSED, "types=result,suppressed")
    assert passes(RESULT, "types=result,suppressed")
    assert passes(SUPPRESSED, "types=suppressed")
    assert not passes(RESULT, "types=suppressed")


def test_types_choose_events_and_gap_and_error_pass_always() -> None:
    assert [passes(event, "types=label") for event in (RESULT, ON, OFF, SOURCE, LOSS)] == [0, 1, 1, 0, 0]
    assert [passes(event, "types=source,loss") for event in (RESULT, ON, OFF, SOURCE, LOSS)] == [0, 0, 0, 1, 1]
    assert passes(GAP, "types=label")
    assert passes(Error("disk full"), "types=label")
    assert [passes(event, "types=gap") for event in (RESULT, ON, SOURCE, GAP)] == [0, 0, 0, 1]


def test_sources_and_classifiers_choose() -> None:
    for event in (RESULT, ON, OFF, SOURCE, LOSS):
        assert passes(event, "sources=door,desk")
        assert not passes(event, "sources=door")
    assert [passes(event, "classifiers=commands") for event in (RESULT, ON, WORKER_LOSS)] == [0, 0, 0]
    # what concerns the source concerns all that hear it
    assert [passes(event, "classifiers=commands") for event in (SOURCE, LOSS)] == [1, 1]
    assert passes(WORKER_LOSS, "classifiers=emotion")


def test_labels_judge_a_result_by_its_top_label() -> None:
    assert passes(RESULT, "labels=happy")
    assert not passes(RESULT, "labels=calm")
    assert passes(ON, "labels=calm,happy")
    assert not passes(OFF, "labels=calm")


@pytest.mark.parametrize(("least", "is_sent"), [("0.8", True), ("0.81", False), ("0", True)])
def test_min_score_judges_a_result_by_its_top_score(least: str, is_sent: bool) -> None:
    assert passes(RESULT, f"min_score={least}") is is_sent


@given(score=st.floats(0, 1), least=st.floats(0, 1), peak=st.floats(0, 1))
def test_an_off_passes_exactly_if_its_on_did(score: float, least: float, peak: float) -> None:
    on = msgspec.structs.replace(ON, score=score)
    off = msgspec.structs.replace(OFF, peak=peak)
    subscription = parse({"min_score": least})
    assert (subscription.select(on) is None) == (subscription.select(off, began=score) is None)


def test_an_off_of_unknown_beginning_passes() -> None:
    assert passes(OFF, "min_score=1", began=None)


def test_top_k_cuts_the_scores() -> None:
    assert parse({"top_k": "1"}).select(RESULT) == encode(msgspec.structs.replace(RESULT, result=RESULT.result[:1]))
    assert parse({"top_k": "5"}).select(RESULT) == encode(RESULT)
    cut = decode(parse({"top_k": 0}).select(RESULT) or b"")
    assert isinstance(cut, Result)
    assert cut.result == ()


def test_shape_api_is_the_array_of_the_http_api_and_nothing_else() -> None:
    subscription = parse({"shape": "api"})
    assert subscription.select(RESULT) == b'[{"score":0.8,"label":"happy"},{"score":0.15,"label":"calm"}]'
    assert [subscription.select(event) for event in (ON, OFF, SOURCE, LOSS, GAP, Error("x"), SUPPRESSED)] == [None] * 7
    assert parse({"shape": "api", "top_k": "1"}).select(RESULT) == b'[{"score":0.8,"label":"happy"}]'


def test_equal_queries_are_one_group() -> None:
    first = parse([("labels", "b,a"), ("labels", " c ")])
    assert first == parse({"labels": ["c", "b", "a"]})
    assert hash(first) == hash(parse({"labels": "a,b,c"}))
    assert parse({"sources": "", "types": ""}) == Subscription()
    assert parse({"types": "label,gap,error"}) == Subscription(types=frozenset({"label"}))


def test_text_and_json_values_mean_the_same() -> None:
    text = parse([("min_score", "0.5"), ("top_k", "3"), ("every", "1.5"), ("shape", "api"), ("policy", "latest")])
    assert text == parse({"min_score": 0.5, "top_k": 3, "every": 1.5, "shape": "api", "policy": "latest"})
    assert text == Subscription(min_score=0.5, top_k=3, every=1.5, shape="api", policy="latest")


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"lables": "stop"}, "lables: no such parameter; did you mean labels?"),
        ({"zzz": "1"}, "zzz: no such parameter; known are sources"),
        ({"since": "9f2c:17"}, "since: resuming is not available in this version"),
        ({"types": "label,reslt"}, "types: no such type 'reslt'; did you mean result?"),
        ({"labels": [1]}, "labels: [1] is not a list of names"),
        ({"min_score": "high"}, "min_score: 'high' is not a number"),
        ({"min_score": "nan"}, "min_score: 'nan' is not a number"),
        ({"min_score": math.inf}, "min_score: inf is not a number"),
        ({"min_score": True}, "min_score: True is not a number"),
        ({"min_score": None}, "min_score: None is not a number"),
        ({"every": "-1"}, "every: '-1' is not a time in seconds"),
        ({"top_k": "-1"}, "top_k: '-1' is not a count"),
        ({"top_k": "2.5"}, "top_k: '2.5' is not a count"),
        ({"top_k": False}, "top_k: False is not a count"),
        ({"shape": "apj"}, "shape: 'apj' is not known; did you mean api?"),
        ({"policy": ""}, "policy: '' is not known; known are oldest, latest, close"),
        ([("every", "1"), ("every", "2")], "every: given 2 times"),
    ],
)
def test_a_wrong_parameter_is_named(query: dict[str, object], sentence: str) -> None:
    with pytest.raises(SubscriptionError) as caught:
        parse(query)
    assert str(caught.value).startswith(sentence)


def test_an_endless_value_is_not_repeated_in_full() -> None:
    with pytest.raises(SubscriptionError) as caught:
        parse({"min_score": "9" * 60_000 + "x"})
    assert len(str(caught.value)) < 200


@given(st.lists(st.tuples(st.text(max_size=12), st.text(max_size=12))))
def test_any_query_gives_a_subscription_or_a_sentence(query: list[tuple[str, str]]) -> None:
    with contextlib.suppress(SubscriptionError):
        parse(query)


_names = st.frozensets(st.sampled_from(["desk", "door", "happy", "calm"]))


@given(sources=_names, labels=_names, types=st.frozensets(st.sampled_from(sorted(DEFAULT_TYPES)), min_size=1))
def test_a_narrower_filter_never_sends_more(
    sources: frozenset[str], labels: frozenset[str], types: frozenset[str]
) -> None:
    narrow = Subscription(sources=sources, labels=labels, types=types)
    wide = replace(narrow, sources=frozenset(), labels=frozenset(), types=DEFAULT_TYPES)
    for event in (RESULT, ON, OFF, SOURCE, LOSS):
        assert narrow.select(event) in (None, wide.select(event))
