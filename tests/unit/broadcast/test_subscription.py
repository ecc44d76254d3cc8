from __future__ import annotations

import math
from dataclasses import asdict, fields
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.broadcast.sink import Published
from earmark.broadcast.subscription import Subscription, parse
from earmark.errors import SubscriptionError
from earmark.protocol.events import (
    Label,
    Loss,
    Numbered,
    Result,
    Score,
    Source,
    decode,
    encode,
)

TIME = "2026-11-22T07:31:05.120Z"
RESULT = Result(1, TIME, "desk", "emotion", 0.0, 1.0, result=(Score(0.8, "happy"), Score(0.15, "calm")))
SUPPRESSED = msgspec.structs.replace(RESULT, suppressed="refractory")
ON = Label(2, TIME, "desk", "emotion", "e-1", "happy", "on", 0.0, score=0.7)
OFF = Label(3, TIME, "desk", "emotion", "e-1", "happy", "off", 0.0, end=4.0, peak=0.9, reason="quiet")
SOURCE = Source(4, TIME, "desk", "lost")
LOSS = Loss(5, TIME, "desk", 1.0, 2.0, "device")
WORKER_LOSS = Loss(6, TIME, "desk", 1.0, 2.0, "worker", classifier="emotion")
EMPTY = msgspec.structs.replace(RESULT, result=())


def select(subscription: Subscription, event: Numbered, on_score: float | None = None) -> bytes | None:
    return subscription.select(Published(event, encode(event), on_score))


def passes(event: Numbered, query: str = "", on_score: float | None = None) -> bool:
    """`query` is `name=value&name=value`."""
    pairs = [tuple(pair.split("=", 1)) for pair in query.split("&") if pair]
    return select(parse([(name, value) for name, value in pairs]), event, on_score) is not None


def refusal(query: dict[str, Any] | list[tuple[str, Any]]) -> str:
    with pytest.raises(SubscriptionError) as caught:
        parse(query)
    return str(caught.value)


def test_without_parameters_everything_but_suppressed_results_passes() -> None:
    usual = parse({})
    assert usual == Subscription()
    assert (usual.min_score, usual.top_k, usual.every, usual.shape, usual.policy) == (None, None, 0, "event", "oldest")
    for event in (RESULT, EMPTY, ON, OFF, SOURCE, LOSS, WORKER_LOSS):
        assert select(parse({}), event) == encode(event)
    assert select(parse({}), SUPPRESSED) is None


def test_suppressed_results_pass_where_types_names_them() -> None:
    assert passes(SUPPRESSED, "types=result,suppressed")
    assert passes(RESULT, "types=result,suppressed")
    assert passes(SUPPRESSED, "types=suppressed")
    assert not passes(RESULT, "types=suppressed")


@given(st.sampled_from([RESULT, EMPTY, ON, OFF, SOURCE, LOSS]), st.sampled_from([None, 2, 9]))
def test_what_the_subscription_does_not_change_is_not_encoded_again(event: Numbered, top_k: int | None) -> None:
    text = b"the text as it was encoded once"
    assert Subscription(top_k=top_k).select(Published(event, text)) is text


def test_types_choose_events_and_those_of_the_connection_may_be_named() -> None:
    assert [passes(event, "types=label") for event in (RESULT, ON, OFF, SOURCE, LOSS)] == [0, 1, 1, 0, 0]
    assert [passes(event, "types=source,loss") for event in (RESULT, ON, OFF, SOURCE, LOSS)] == [0, 0, 0, 1, 1]
    for only in ("types=gap", "types=error", "types=gap,error", "types=hello,subscribed"):
        assert [passes(event, only) for event in (RESULT, SUPPRESSED, ON, SOURCE, LOSS)] == [0, 0, 0, 0, 0]


def test_sources_and_classifiers_choose() -> None:
    for event in (RESULT, ON, OFF, SOURCE, LOSS):
        assert passes(event, "sources=door,desk")
        assert not passes(event, "sources=door")
    assert [passes(event, "classifiers=commands") for event in (RESULT, ON, WORKER_LOSS)] == [0, 0, 0]
    # what concerns the source concerns all that hear it
    assert [passes(event, "classifiers=commands") for event in (SOURCE, LOSS)] == [1, 1]
    for event in (RESULT, ON, OFF, WORKER_LOSS):
        assert passes(event, "classifiers=emotion,commands")


def test_labels_judge_a_result_by_its_top_label() -> None:
    assert passes(RESULT, "labels=happy")
    assert not passes(RESULT, "labels=calm")
    assert passes(ON, "labels=calm,happy")
    assert not passes(ON, "labels=calm")
    assert not passes(OFF, "labels=calm")


def test_a_result_without_labels_passes_neither_labels_nor_min_score() -> None:
    assert passes(EMPTY, "types=result")
    assert not passes(EMPTY, "labels=happy")
    assert not passes(EMPTY, "min_score=-1000")


@pytest.mark.parametrize(("least", "is_sent"), [("0.8", True), ("0.81", False), ("0", True)])
def test_min_score_judges_a_result_by_its_top_score(least: str, is_sent: bool) -> None:
    assert passes(RESULT, f"min_score={least}") is is_sent


@pytest.mark.parametrize(("least", "is_sent"), [("0.69", True), ("0.7", True), ("0.71", False)])
def test_min_score_judges_a_label_by_the_score_of_its_on(least: str, is_sent: bool) -> None:
    assert ON.score == 0.7
    assert passes(ON, f"min_score={least}") is is_sent
    assert passes(OFF, f"min_score={least}", on_score=0.7) is is_sent


@given(score=st.floats(0, 1), least=st.floats(0, 1), peak=st.floats(0, 1))
def test_an_off_passes_exactly_if_its_on_did(score: float, least: float, peak: float) -> None:
    on = msgspec.structs.replace(ON, score=score)
    off = msgspec.structs.replace(OFF, peak=peak)
    subscription = parse({"min_score": least})
    assert select(subscription, on) == (encode(on) if score >= least else None)
    assert select(subscription, off, on_score=score) == (encode(off) if score >= least else None)


def test_an_on_whose_score_is_not_told_passes() -> None:
    assert passes(msgspec.structs.replace(ON, score=None), "min_score=1")


def test_an_off_of_unknown_beginning_passes() -> None:
    assert passes(OFF, "min_score=1", on_score=None)


@pytest.mark.parametrize(("top_k", "kept"), [(0, 0), ("0", 0), (1, 1), ("1", 1), (2, 2), (3, 2), (10**30, 2)])
def test_top_k_cuts_the_scores(top_k: object, kept: int) -> None:
    sent = select(parse({"top_k": top_k}), RESULT)
    assert sent == encode(msgspec.structs.replace(RESULT, result=RESULT.result[:kept]))
    assert decode(sent) == msgspec.structs.replace(RESULT, result=RESULT.result[:kept])


def test_labels_and_min_score_judge_what_top_k_cuts_off() -> None:
    assert passes(RESULT, "top_k=0&labels=happy&min_score=0.8")
    assert not passes(RESULT, "top_k=0&labels=calm")


def test_shape_api_is_the_array_of_the_http_api_and_nothing_else() -> None:
    subscription = parse({"shape": "api"})
    assert select(subscription, RESULT) == b'[{"score":0.8,"label":"happy"},{"score":0.15,"label":"calm"}]'
    assert [select(subscription, event) for event in (ON, OFF, SOURCE, LOSS, SUPPRESSED)] == [None] * 5
    assert select(parse({"shape": "api", "top_k": "1"}), RESULT) == b'[{"score":0.8,"label":"happy"}]'
    assert select(parse({"shape": "api", "types": "suppressed", "top_k": 0}), SUPPRESSED) == b"[]"
    assert not passes(RESULT, "shape=api&labels=calm")
    assert select(parse({"shape": "event"}), RESULT) == encode(RESULT)


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


@pytest.mark.parametrize("name", ["sources", "classifiers", "labels"])
def test_a_name_whose_quotes_are_not_closed_is_refused(name: str) -> None:
    assert refusal({name: '"Male speech, man'}).startswith(
        f"{name}: '\"Male speech, man': a name between double quotes"
    )


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("a", {"a"}),
        ("a, b ,,", {"a", "b"}),
        ([], set()),
        ([" a ", "", " "], {"a"}),
        (("a", "b"), {"a", "b"}),
        (["a,b"], {"a,b"}),
        ('"a,b",c', {"a,b", "c"}),
        ("می\u200cروم, 👩\u200d🚒", {"می\u200cروم", "👩\u200d🚒"}),
    ],
)
@pytest.mark.parametrize("name", ["sources", "classifiers", "labels"])
def test_lists_are_text_with_commas_or_arrays(name: str, value: object, names: set[str]) -> None:
    wanted: dict[str, Any] = {name: frozenset(names)}
    assert parse({name: value}) == Subscription(**wanted)


@pytest.mark.parametrize("value", [5, 0, 1.5, True, None, {"a": 1}, [1], ["a", 1], [1, "a"], [["a"]], [None], [True]])
@pytest.mark.parametrize("name", ["sources", "classifiers", "labels", "types"])
def test_what_is_no_list_of_names_is_refused(name: str, value: object) -> None:
    assert refusal({name: value}) == f"{name}: {value!r} is not a list of names"
    assert refusal([(name, "label"), (name, value)]) == f"{name}: {value!r} is not a list of names"


@pytest.mark.parametrize(("value", "number"), [(0, 0), ("0", 0), (0.001, 0.001), ("0.5", 0.5), (1, 1), ("1e3", 1000)])
@pytest.mark.parametrize("name", ["every", "min_score"])
def test_times_and_scores_are_numbers_or_their_text(name: str, value: object, number: float) -> None:
    wanted: dict[str, Any] = {name: number}
    assert parse({name: value}) == Subscription(**wanted)


@pytest.mark.parametrize(
    "value",
    [
        *("", "high", "nan", "inf", "-inf", "1e999", "0x1", "1,5", "9" * 5000),
        *(math.nan, math.inf, -math.inf, 10**400, True, False, None, [], [0.5], {}),
    ],
)
@pytest.mark.parametrize("name", ["every", "min_score"])
def test_what_is_no_number_is_refused(name: str, value: object) -> None:
    shown = repr(value)
    shown = shown if len(shown) <= 64 else shown[:61] + "..."
    assert refusal({name: value}) == f"{name}: {shown} is not a number"


@pytest.mark.parametrize("value", [-1, "-1", -0.001, "-1e-9"])
def test_a_time_below_zero_is_refused_and_a_score_below_zero_is_not(value: str | float) -> None:
    assert refusal({"every": value}) == f"every: {value!r} is not a time in seconds, 0 or more"
    assert parse({"min_score": value}).min_score == float(value)


@pytest.mark.parametrize("value", ["0", "007", "999999999", 0, 5, 1234567890, 10**30])
def test_a_count_is_a_whole_number_or_up_to_nine_digits(value: str | int) -> None:
    assert parse({"top_k": value}).top_k == int(value)


@pytest.mark.parametrize(
    "value",
    [
        *("", "-1", "+1", " 1", "2.5", "1e3", "x", "²", "٣", "1234567890", "9" * 5000),
        *(-1, -(10**30), 2.0, 2.5, True, False, None, [], [3], {}),
    ],
)
def test_what_is_no_count_is_refused(value: object) -> None:
    shown = repr(value)
    shown = shown if len(shown) <= 64 else shown[:61] + "..."
    assert refusal({"top_k": value}) == f"top_k: {shown} is not a count, 0 or more"


@pytest.mark.parametrize("value", [1, True, None, ["api"], {}, "", "API", "api "])
def test_a_choice_is_one_of_its_words(value: object) -> None:
    for name, known in (("shape", "event, api"), ("policy", "oldest, latest, close")):
        assert refusal({name: value}).startswith(f"{name}: {value!r} is not known; ")
        assert refusal({name: value}).endswith(f"known are {known}")


def test_every_choice_is_taken() -> None:
    assert [parse({"shape": shape}).shape for shape in ("event", "api")] == ["event", "api"]
    policies = ("oldest", "latest", "close")
    assert tuple(parse({"policy": policy}).policy for policy in policies) == policies


def test_every_type_is_taken_and_none_means_the_usual_ones() -> None:
    named = parse({"types": "result,suppressed,label,source,loss,config,gap,error"})
    assert named.types == {"result", "suppressed", "label", "source", "loss", "config"}
    nothing: tuple[object, ...] = ("", " , ", [])
    for none in nothing:
        assert parse({"types": none}).types == {"result", "label", "source", "loss", "config"}


@pytest.mark.parametrize("name", ["min_score", "top_k", "every", "shape", "policy"])
def test_a_single_value_given_twice_is_refused(name: str) -> None:
    assert refusal([(name, "1"), (name, "1")]) == f"{name}: given 2 times, and one value is wanted"


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        (
            {"lables": "stop"},
            "lables: no such parameter; did you mean labels? known are "
            "sources, classifiers, types, labels, min_score, top_k, every, shape, policy",
        ),
        (
            {"zzz": "1"},
            "zzz: no such parameter; known are "
            "sources, classifiers, types, labels, min_score, top_k, every, shape, policy",
        ),
        (
            {"types": "label,reslt"},
            "types: no such type 'reslt'; did you mean result? "
            "known are config, label, level, loss, result, source, suppressed, tick",
        ),
        (
            {"types": ["zzz", "qqq"]},
            "types: no such type 'qqq'; known are config, label, level, loss, result, source, suppressed, tick",
        ),
        ({"shape": "apj"}, "shape: 'apj' is not known; did you mean api? known are event, api"),
        ({"policy": ""}, "policy: '' is not known; known are oldest, latest, close"),
        ([("every", "1"), ("every", "2"), ("every", "3")], "every: given 3 times, and one value is wanted"),
    ],
)
def test_a_wrong_parameter_is_named(query: dict[str, object], sentence: str) -> None:
    assert refusal(query) == sentence


@pytest.mark.parametrize(
    ("length", "shown"),
    [(62, "'" + "x" * 62 + "'"), (63, "'" + "x" * 60 + "..."), (60_000, "'" + "x" * 60 + "...")],
)
def test_of_a_long_value_64_characters_are_repeated(length: int, shown: str) -> None:
    assert refusal({"min_score": "x" * length}) == f"min_score: {shown} is not a number"


def test_of_a_long_name_64_characters_are_repeated() -> None:
    assert refusal({"y" * 65: ""}).startswith("y" * 64 + ": no such parameter; ")


def test_the_first_wrong_name_is_told_before_a_wrong_value() -> None:
    assert refusal([("top_k", "x"), ("zzz", ""), ("yyy", "")]).startswith("zzz: no such parameter")


_parameters = st.sampled_from([field.name for field in fields(Subscription)])
_plain = st.text(max_size=8) | st.integers() | st.floats() | st.booleans() | st.none()
_likely = st.sampled_from(["0", "0.5", "3", 2, 1.5, "event", "api", "latest", "close", "label,result", "gap", ["loss"]])


@given(st.lists(st.tuples(_parameters, _likely | _plain | st.lists(_plain, max_size=3)), max_size=3))
def test_any_query_gives_a_subscription_that_can_be_asked_for_again_or_a_sentence_that_names_a_parameter(
    query: list[tuple[str, object]],
) -> None:
    sentence, found = "", None
    try:
        found = parse(query)
    except SubscriptionError as error:
        sentence = str(error)
    if found is None:
        assert sentence.partition(":")[0] in dict(query)
        return
    given = {
        name: sorted(value) if isinstance(value, frozenset) else value
        for name, value in asdict(found).items()
        if value is not None
    }
    assert parse(given) == found


_names = st.frozensets(st.sampled_from(["desk", "door", "happy", "calm", "emotion"]))
_types = st.frozensets(st.sampled_from(["result", "suppressed", "label", "source", "loss"]), min_size=1)


@given(sources=_names, classifiers=_names, labels=_names, types=_types, least=st.none() | st.sampled_from([0.7, 0.75]))
def test_a_filter_of_several_parts_sends_what_each_part_alone_would_send(
    sources: frozenset[str],
    classifiers: frozenset[str],
    labels: frozenset[str],
    types: frozenset[str],
    least: float | None,
) -> None:
    whole = Subscription(sources, classifiers, types, labels, least)
    every_type = types | {"suppressed", "result", "label", "source", "loss"}
    parts = (
        Subscription(sources=sources, types=every_type),
        Subscription(classifiers=classifiers, types=every_type),
        Subscription(types=types),
        Subscription(labels=labels, types=every_type),
        Subscription(min_score=least, types=every_type),
    )
    for event in (RESULT, SUPPRESSED, ON, OFF, SOURCE, LOSS, WORKER_LOSS):
        is_wanted = all(select(part, event, on_score=0.7) is not None for part in parts)
        assert select(whole, event, on_score=0.7) == (encode(event) if is_wanted else None)
