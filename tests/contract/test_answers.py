"""Answers of the HTTP API, and the headers of a request that change them (docs/http-api.md)."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest

from tests.posting import COMMANDS, LABELS, RATE, Client, as_json, encoded, noisy, together, word

CLIP = encoded(word("yes"))
WAIT = {"x_wait_for_model": "true"}
ALL = len(LABELS)


def test_the_answer_is_compact_json_by_falling_score_with_score_before_label(client: Client) -> None:
    reply = client.post(CLIP)
    assert re.fullmatch(rb'\[(\{"score":[-+.0-9e]+,"label":"[^"]+"\},?)+\]', reply.body)
    assert [list(item) for item in reply.json] == [["score", "label"]] * ALL
    scores = [item["score"] for item in reply.json]
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) == pytest.approx(1, abs=1e-5)


def test_labels_are_strings_even_where_the_checkpoint_has_numbers(client: Client) -> None:
    assert sorted(client.post(CLIP, "/models/acme/numbered", **WAIT).labels) == ["0", "1", "2", "3", "4"]


def test_a_score_that_is_not_finite_is_a_500(client: Client) -> None:
    reply = client.post(CLIP, "/models/acme/nan", **WAIT)
    assert (reply.status, "acme/nan" in reply.error) == (500, True)


def test_a_computed_answer_tells_time_type_and_length_and_a_cached_one_no_time(client: Client) -> None:
    clip = encoded(noisy(13.69, 1))
    computed, cached = client.post(clip), client.post(clip)
    assert computed.headers["x-compute-type"] == "cpu"
    assert computed.headers["x-compute-audio-length"] == "13.69"
    assert len(computed.headers["x-compute-time"].partition(".")[2]) == 3
    assert 0 < float(computed.headers["x-compute-time"]) < 60
    assert "x-compute-time" not in cached.headers
    assert cached.body == computed.body


@pytest.mark.parametrize(("top_k", "count"), [(None, ALL), (0, 0), (1, 1), (ALL, ALL), (ALL + 1, ALL), (10**30, ALL)])
def test_top_k_is_how_many_labels_and_absent_or_null_means_all(client: Client, top_k: int | None, count: int) -> None:
    assert len(client.post(as_json(CLIP, top_k=top_k)).json) == count
    if top_k is not None:
        assert len(client.post(CLIP, f"{COMMANDS}?top_k={top_k}").json) == count


@pytest.mark.parametrize("top_k", [-1, True, False, "3", 2.5, [], {}])
def test_a_wrong_top_k_is_400_and_named(client: Client, top_k: object) -> None:
    reply = client.post(as_json(CLIP, top_k=top_k))
    assert (reply.status, "top_k" in reply.error) == (400, True)


@pytest.mark.parametrize("top_k", ["-1", "true", "x", "2.5", ""])
def test_a_wrong_top_k_in_the_query_is_400_and_named(client: Client, top_k: str) -> None:
    reply = client.post(CLIP, f"{COMMANDS}?top_k={top_k}")
    assert (reply.status, "top_k" in reply.error) == (400, True)


def test_function_to_apply_follows_the_problem_type_unless_it_is_given(client: Client) -> None:
    path = "/models/acme/"
    logits = client.post(as_json(CLIP, function_to_apply="none"), path + "wave", **WAIT).scores
    softmax = client.post(CLIP, path + "wave", **WAIT).scores
    sigmoid = client.post(as_json(CLIP, function_to_apply=None), path + "multi", **WAIT).scores
    whole = sum(math.exp(score) for score in logits.values())
    assert softmax == pytest.approx({label: math.exp(score) / whole for label, score in logits.items()}, abs=1e-5)
    assert sigmoid == pytest.approx({label: 1 / (1 + math.exp(-x)) for label, x in logits.items()}, abs=1e-5)
    assert client.post(CLIP, path + "regression", **WAIT).scores == pytest.approx(logits, abs=1e-5)
    given = client.post(as_json(CLIP, function_to_apply="sigmoid"), path + "regression")
    assert given.scores == pytest.approx(sigmoid, abs=1e-5)


@pytest.mark.parametrize("form", ["json", "query"])
def test_a_wrong_function_is_400_with_the_sentence_of_the_contract(client: Client, form: str) -> None:
    body = as_json(CLIP, function_to_apply="tanh") if form == "json" else CLIP
    path = COMMANDS if form == "json" else COMMANDS + "?function_to_apply=tanh"
    reply = client.post(body, path)
    assert reply.status == 400
    sentence = "Invalid value for `function_to_apply`: tanh. Valid options are ['softmax', 'sigmoid', 'none']"
    assert reply.error == sentence


def test_a_clip_longer_than_the_model_takes_is_the_mean_of_its_windows(client: Client) -> None:
    long = noisy(2.0, 5)
    halves = [client.post(encoded(part)).scores for part in (long[:RATE], long[RATE:])]
    expected = {label: (score + halves[1][label]) / 2 for label, score in halves[0].items()}
    assert client.post(encoded(long)).scores == pytest.approx(expected, abs=1e-5)


def test_one_hour_of_audio_is_answered(client: Client) -> None:
    hour = encoded((noisy(60) * 0).repeat(60), form="FLAC")
    model = "/models/acme/second"  # whose windows are as long as those of an embedded model, of which each takes longer
    reply = client.post(hour, model, **WAIT)
    assert reply.status == 200
    assert reply.headers["x-compute-audio-length"] == "3600"
    assert client.post(encoded((noisy(60) * 0).repeat(61), form="FLAC"), model).status == 413


@pytest.mark.parametrize("off", ["false", "0", "False"])
def test_x_use_cache_false_computes_anew(client: Client, off: str) -> None:
    client.post(CLIP)
    assert "x-compute-time" not in client.post(CLIP, x_use_cache="true").headers
    assert "x-compute-time" in client.post(CLIP, x_use_cache=off).headers


def test_the_cache_knows_the_sound_and_not_the_file(client: Client) -> None:
    clip = (noisy(0.9, 9) * 32767).astype(np.int16)
    client.post(encoded(clip))
    assert "x-compute-time" not in client.post(encoded(clip, form="FLAC")).headers
    assert "x-compute-time" in client.post(encoded(clip), COMMANDS + "?top_k=1").headers
    assert "x-compute-time" not in client.post(encoded(clip), COMMANDS + "?top_k=99").headers


def test_a_clip_that_failed_is_computed_anew_when_it_comes_again(client: Client) -> None:
    def counted() -> tuple[int, int]:
        info = client.get("/info").json
        return info["windows"]["classified"], info["clips"]["cached"]

    short = encoded(noisy(0.01))
    for _ in range(2):
        classified, cached = counted()
        assert client.post(CLIP, "/models/acme/nan", **WAIT).status == 500
        assert counted() == (classified + 1, cached)
        assert client.post(short, "/models/acme/wave", **WAIT).status == 400
        assert counted() == (classified + 1, cached)


def test_requests_at_the_same_time_get_their_own_answers(client: Client) -> None:
    clips = [encoded(noisy(0.5, seed)) for seed in range(24)]
    alone = [client.post(body, x_use_cache="0").scores for body in clips]
    asked = [lambda body=body: client.post(body, x_use_cache="0") for body in clips]
    for one, other in zip(alone, together(asked), strict=True):
        assert other.scores == pytest.approx(one, abs=1e-4)


def test_the_models_of_the_documentation_are_in_the_hub_cache_layout(client: Client, models: Path) -> None:
    reply = client.post(CLIP, "/models/acme/cached", **WAIT)
    assert reply.scores == pytest.approx(client.post(CLIP, "/models/acme/wave", **WAIT).scores, abs=1e-6)
