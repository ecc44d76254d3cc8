from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.answers.cache import MAX_WAYS, OVERHEAD_BYTES, SENT_BYTES, Cache, Key, Known
from earmark.config.settings import Function


def key(audio: bytes = b"a", top_k: int | None = None, function: Function = "softmax") -> Key:
    return Key.of("m", "r", audio, function, top_k, labels=5)


def test_requests_with_the_same_answer_have_the_same_key() -> None:
    assert key() == key(top_k=5) == key(top_k=99, function="softmax")
    assert key() != key(top_k=4)
    given = [Key.of("m", "r", b"a", "none", None, labels=2, given=digest) for digest in (b"", b"1", b"2")]
    assert len({*given}) == 3
    assert key() != key(function="sigmoid")
    assert key() != key(b"b")


@pytest.mark.parametrize(
    "other",
    [
        {"model": "m2"},
        {"revision": "r2"},
        {"audio": b"m"},
        {"scoring": "sigmoid"},
        {"top_k": 4},
        {"model": "r", "revision": "m"},  # no two parts may change places
    ],
)
def test_keys_that_differ_in_one_part_are_answers_of_their_own(other: dict[str, Any]) -> None:
    one = Key("m", "r", b"a", "softmax", 5)
    assert key() == one
    cache = Cache(10_000)
    cache.put(one, b"one")
    assert cache.get(replace(one, **other)) is None
    cache.put(replace(one, **other), b"other")
    assert (cache.get(one), cache.get(replace(one, **other)), len(cache)) == (b"one", b"other", 2)


def test_a_key_holds_every_part_where_it_belongs() -> None:
    made = Key.of("m", "r", b"a", "none", 3, labels=5)
    assert (made.model, made.revision, made.audio, made.scoring, made.top_k) == ("m", "r", b"a", "none", 3)
    assert [key(top_k=top_k).top_k for top_k in (None, 0, 4, 5, 6)] == [5, 0, 4, 5, 5]


def test_the_least_recently_used_goes_first() -> None:
    cache = Cache(2 * (OVERHEAD_BYTES + 10))
    for audio in (b"1", b"2"):
        cache.put(key(audio), b"x" * 10)
    assert cache.get(key(b"1")) == b"x" * 10
    cache.put(key(b"3"), b"x" * 10)
    assert cache.get(key(b"2")) is None
    assert (cache.get(key(b"1")), cache.get(key(b"3"))) == (b"x" * 10, b"x" * 10)
    assert (len(cache), cache.hits, cache.misses) == (2, 3, 1)


def test_the_size_is_never_above_the_limit_and_counts_replacement_once() -> None:
    cache = Cache(3 * OVERHEAD_BYTES)
    for number in range(100):
        cache.put(key(bytes([number % 7])), b"x" * (number * 13 % 500))
        assert cache.size <= 3 * OVERHEAD_BYTES
    fresh = Cache(3 * OVERHEAD_BYTES)
    for answer in (b"x" * 50, b"xx"):
        fresh.put(key(), answer)
    assert (fresh.size, len(fresh)) == (OVERHEAD_BYTES + 2, 1)


def test_the_size_is_that_of_what_is_kept_after_evictions_and_replacements() -> None:
    cache = Cache(3 * (OVERHEAD_BYTES + 100))
    sizes = []
    for audio, length in ((b"1", 100), (b"2", 100), (b"3", 90), (b"4", 80), (b"2", 40), (b"5", 100), (b"6", 300)):
        cache.put(key(audio), b"x" * length)
        sizes.append((len(cache), cache.size - len(cache) * OVERHEAD_BYTES))
    # 4 pushes out 1; 2 is replaced and newest; 5 pushes out 3; 6 pushes out 4 and 2
    assert sizes == [(1, 100), (2, 200), (3, 290), (3, 270), (3, 210), (3, 220), (2, 400)]
    kept = [audio for audio in (b"1", b"2", b"3", b"4", b"5", b"6") if cache.get(key(audio)) is not None]
    assert kept == [b"5", b"6"]


def test_a_replaced_answer_counts_as_used_now() -> None:
    cache = Cache(2 * (OVERHEAD_BYTES + 1))
    for audio, answer in ((b"1", b"a"), (b"2", b"b"), (b"1", b"c"), (b"3", b"d")):
        cache.put(key(audio), answer)
    assert [cache.get(key(audio)) for audio in (b"1", b"2", b"3")] == [b"c", None, b"d"]


def test_one_answer_may_fill_the_cache() -> None:
    cache = Cache(OVERHEAD_BYTES + 5)
    cache.put(key(b"1"), b"12345")
    cache.put(key(b"2"), b"54321")
    assert (cache.get(key(b"1")), cache.get(key(b"2")), cache.size) == (None, b"54321", OVERHEAD_BYTES + 5)
    cache.put(key(b"2"), b"123456")
    assert cache.get(key(b"2")) == b"54321"  # what is too large replaces nothing


def test_hits_and_misses_are_counted() -> None:
    cache = Cache(10_000)
    assert (cache.size, cache.hits, cache.misses) == (0, 0, 0)
    cache.put(key(), b"")
    assert [cache.get(key(audio)) for audio in (b"a", b"a", b"b", b"c", b"a")] == [b"", b"", None, None, b""]
    assert (cache.size, cache.hits, cache.misses) == (OVERHEAD_BYTES, 3, 2)


def test_an_answer_larger_than_the_cache_is_not_kept() -> None:
    cache = Cache(OVERHEAD_BYTES + 5)
    cache.put(key(b"small"), b"12345")
    cache.put(key(b"large"), b"123456")
    assert (cache.get(key(b"large")), cache.get(key(b"small"))) == (None, b"12345")
    nothing = Cache(0)
    nothing.put(key(), b"")
    assert len(nothing) == 0


def test_a_request_is_recognised_by_what_was_sent_as_long_as_its_answer_is_kept() -> None:
    cache = Cache(2 * (OVERHEAD_BYTES + SENT_BYTES + 10))
    assert cache.recognise(b"raw") is None
    cache.put(key(b"1"), b"one")
    cache.recognise_from_now(b"raw", key(b"1"), 1.5, "damaged")
    assert cache.recognise(b"raw") == Known(b"one", 1.5, "damaged")
    assert (cache.recognised, cache.ways, cache.size) == (1, 1, OVERHEAD_BYTES + 3 + SENT_BYTES + 7)
    for audio in (b"2", b"3"):
        cache.put(key(audio), b"x" * 10)
    assert (cache.recognise(b"raw"), cache.ways, cache.size) == (None, 0, 2 * (OVERHEAD_BYTES + 10))


def test_an_answer_that_is_recognised_counts_as_used_now() -> None:
    cache = Cache(2 * (OVERHEAD_BYTES + SENT_BYTES))
    for audio in (b"1", b"2"):
        cache.put(key(audio), b"")
        cache.recognise_from_now(audio, key(audio), 1.0, "")
    assert cache.recognise(b"1") == Known(b"", 1.0, "")
    cache.put(key(b"3"), b"")
    assert (cache.recognise(b"1") is None, cache.recognise(b"2") is None) == (False, True)


def test_of_the_ways_to_one_answer_the_newest_few_are_known() -> None:
    cache = Cache(100_000)
    cache.put(key(), b"")
    sent = [bytes([number]) for number in range(MAX_WAYS + 2)]
    for each in (*sent, sent[-1]):
        cache.recognise_from_now(each, key(), 1.0, "")
    assert [cache.recognise(each) is not None for each in sent] == [False, False] + MAX_WAYS * [True]
    assert (cache.ways, cache.size) == (MAX_WAYS, OVERHEAD_BYTES + MAX_WAYS * SENT_BYTES)


def test_an_answer_that_is_not_kept_is_not_recognised() -> None:
    cache = Cache(OVERHEAD_BYTES + 5)
    cache.recognise_from_now(b"raw", key(), 1.0, "")
    assert (cache.recognise(b"raw"), cache.size) == (None, 0)
    cache.put(key(), b"12345")
    cache.recognise_from_now(b"raw", key(), 1.0, "")  # has no room beside the answer
    assert (cache.recognise(b"raw"), len(cache), cache.size) == (None, 0, 0)


def test_a_new_answer_for_a_key_is_what_the_ways_to_the_old_one_lead_to() -> None:
    cache = Cache(100_000)
    cache.put(key(), b"old")
    cache.recognise_from_now(b"raw", key(), 1.0, "")
    cache.put(key(), b"newer")
    assert cache.recognise(b"raw") == Known(b"newer", 1.0, "")
    assert cache.size == OVERHEAD_BYTES + SENT_BYTES + 5


@given(st.lists(st.tuples(st.sampled_from("prg"), st.integers(0, 5), st.integers(0, 5), st.integers(0, 900))))
def test_the_size_is_always_that_of_what_is_kept(acts: list[tuple[str, int, int, int]]) -> None:
    cache = Cache(4000)
    for act, number, other, length in acts:
        if act == "p":
            cache.put(key(bytes([number])), b"x" * length)
        elif act == "r":
            cache.recognise_from_now(bytes([other]), key(bytes([number])), 1.0, "w" * (length % 50))
        else:
            cache.recognise(bytes([other]))
        kept = [answer for one in range(6) if (answer := cache.get(key(bytes([one])))) is not None]
        known = [found for one in range(6) if (found := cache.recognise(bytes([one]))) is not None]
        size = sum(OVERHEAD_BYTES + len(answer) for answer in kept)
        assert cache.size == size + sum(SENT_BYTES + len(each.warning) for each in known) <= 4000
        assert (len(cache), cache.ways) == (len(kept), len(known))
