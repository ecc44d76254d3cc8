"""The parsers that strangers reach, fed what was wrong once and some thousands of new inputs; see tests/fuzz."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

import pytest

from tests.fuzz.kept import FOLDER, found
from tests.fuzz.mutate import Inputs
from tests.fuzz.run import Report, feed, giving_up, minimised, run
from tests.fuzz.target import Broken, Target
from tests.fuzz.targets import TARGETS

SLOW = {"audio": 300, "plain-audio": 300, "labels": 200, "head": 500}
INPUTS = 2000  # for each of the others


@pytest.fixture(params=list(TARGETS))
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    made = TARGETS[request.param]()
    yield made
    made.close()


def test_what_was_wrong_once_is_answered_or_refused(target: Target) -> None:
    report = Report()
    with giving_up():
        for file in found(target.name):
            feed(target, file.read_bytes(), report)
    assert {key: defect.told for key, defect in report.defects.items()} == {}


def test_thousands_of_inputs_are_answered_or_refused_as_documented(target: Target) -> None:
    report = run(target, SLOW.get(target.name, INPUTS), seed=7)
    assert {key: defect.told for key, defect in report.defects.items()} == {}
    assert len(report.outcomes) > 3  # they do not all fail at the first byte


def test_the_corpus_has_no_folder_without_a_target() -> None:
    assert {folder.name for folder in FOLDER.iterdir() if folder.is_dir()} <= set(TARGETS)


class Bad(Target):
    """A parser with one defect of each kind."""

    name = "bad"
    words = (b"a", b"b", b"c")
    slow = 0.02

    def seeds(self) -> Sequence[bytes]:
        return [b"abc"]

    def grow(self, chance: Random) -> bytes:
        return bytes(chance.choices(b"abcd", k=3))

    def feed(self, data: bytes) -> str:
        if b"dd" in data:
            raise KeyError(data)
        if b"ca" in data:
            sum(range(5 * 10**6))
        return "refused" if b"a" in data else "ok"


def test_a_fuzzer_finds_an_exception_and_a_slow_input_and_makes_them_small() -> None:
    report = run(Bad(), 400, seed=1)
    assert {key.partition(" ")[0] for key in report.defects} == {"KeyError", "slow"}
    assert {minimised(Bad(), defect) for defect in report.defects.values()} == {b"dd", b"ca"}
    assert not report.is_clean


class Late(Bad):
    """A parser whose answers come one input late, until somebody waits for them."""

    _before = b""
    _waits = False

    def feed(self, data: bytes) -> str:
        before, self._before = self._before, data
        answered = data if self._waits else before
        if b"d" in answered:
            raise Broken("a wrong answer", answered)
        return "ok"

    def settle(self) -> None:
        self._waits = True


def test_a_wrong_answer_that_comes_late_is_held_against_its_own_input() -> None:
    report = run(Late(), 200, seed=1)
    assert {minimised(Late(), defect) for defect in report.defects.values()} == {b"d"}


def test_the_same_seed_gives_the_same_inputs() -> None:
    assert [Inputs(Bad(), Random(3)).next() for _ in range(5)] == [Inputs(Bad(), Random(3)).next() for _ in range(5)]
