from __future__ import annotations

from earmark.core.cache import OVERHEAD, Cache, Key, Suspects
from earmark.core.clip import Parameters


def key(audio: bytes = b"a", parameters: Parameters | None = None) -> Key:
    return Key.of("m", "r", audio, parameters or Parameters(), "softmax", 5)


def test_what_means_the_same_is_the_same_key() -> None:
    assert key() == key(parameters=Parameters(5)) == key(parameters=Parameters(99, "softmax"))
    assert key() != key(parameters=Parameters(4))
    assert key() != key(parameters=Parameters(None, "sigmoid"))
    assert key() != key(b"b")


def test_the_least_recently_used_goes_first() -> None:
    cache = Cache(2 * (OVERHEAD + 10))
    for audio in (b"1", b"2"):
        cache.put(key(audio), b"x" * 10)
    assert cache.get(key(b"1")) == b"x" * 10
    cache.put(key(b"3"), b"x" * 10)
    assert cache.get(key(b"2")) is None
    assert (cache.get(key(b"1")), cache.get(key(b"3"))) == (b"x" * 10, b"x" * 10)
    assert (len(cache), cache.hits, cache.misses) == (2, 3, 1)


def test_the_size_is_never_above_the_limit_and_counts_replacement_once() -> None:
    cache = Cache(3 * OVERHEAD)
    for number in range(100):
        cache.put(key(bytes([number % 7])), b"x" * (number * 13 % 500))
        assert cache.size <= 3 * OVERHEAD
    fresh = Cache(3 * OVERHEAD)
    for answer in (b"x" * 50, b"xx"):
        fresh.put(key(), answer)
    assert (fresh.size, len(fresh)) == (OVERHEAD + 2, 1)


def test_an_answer_larger_than_the_cache_is_not_kept() -> None:
    cache = Cache(OVERHEAD + 5)
    cache.put(key(b"small"), b"12345")
    cache.put(key(b"large"), b"123456")
    assert (cache.get(key(b"large")), cache.get(key(b"small"))) == (None, b"12345")
    nothing = Cache(0)
    nothing.put(key(), b"")
    assert len(nothing) == 0


def test_deaths_are_counted_by_the_sound_whatever_the_parameters() -> None:
    suspects = Suspects(most=2)
    assert suspects.died(key()) == 1
    assert suspects.died(key(parameters=Parameters(1))) == 2
    assert suspects.deaths(key()) == 2
    suspects.cleared(key())
    assert suspects.deaths(key()) == 0
    for audio in (b"1", b"2", b"3"):
        suspects.died(key(audio))
    assert [suspects.deaths(key(audio)) for audio in (b"1", b"2", b"3")] == [0, 1, 1]
