"""The state of endpoints and of the process that stands in for them, as one."""

from __future__ import annotations

import pytest

from earmark.inference.engine import EngineState, Placement
from earmark.standin.both import both

WORDS, MOODS = "house/words", "house/moods"
KNOWN = frozenset({WORDS, MOODS})
AWAY = EngineState("restarting", "no endpoint answers: a:1 (it cannot be reached)", device="remote", restarts=1)
SERVES = EngineState("ready", device="remote", loaded=KNOWN)
CPU = Placement("onnxruntime", "cpu", "fp32", 1, "")
STANDS_IN = EngineState(
    "ready", pid=7, device="cpu", restarts=2, loaded=KNOWN, placements=dict.fromkeys(KNOWN, CPU), outgrown=1
)


def told(remote: EngineState, here: EngineState | None) -> EngineState:
    return both(remote, here, KNOWN, KNOWN)


def test_without_a_process_it_is_the_state_of_the_endpoints() -> None:
    assert told(SERVES, None) == SERVES
    found = told(AWAY, None)
    assert (found.phase, found.detail, found.loading, found.fallback) == ("restarting", AWAY.detail, KNOWN, "")


def test_a_process_that_serves_all_models_makes_it_ready_and_says_why_and_where_they_run() -> None:
    found = told(AWAY, STANDS_IN)
    assert (found.phase, found.detail, found.loaded, found.loading) == ("ready", "", KNOWN, frozenset())
    assert (found.fallback, found.device, found.pid) == (AWAY.detail, "cpu", 7)
    assert found.placements == dict.fromkeys(KNOWN, CPU)
    assert (found.restarts, found.outgrown) == (3, 1)


def test_endpoints_that_serve_again_have_the_models_though_the_process_is_still_there() -> None:
    found = told(SERVES, STANDS_IN)
    assert (found.phase, found.device, found.fallback, found.placements) == ("ready", "remote", "", {})


def test_the_model_that_no_endpoint_has_runs_here_and_the_other_one_there() -> None:
    there = EngineState("ready", device="remote", loaded=frozenset({WORDS}), refused={MOODS: "a:1 does not have it"})
    found = told(there, STANDS_IN)
    assert (found.phase, found.loaded, found.refused) == ("ready", KNOWN, {})
    assert (found.device, found.fallback, found.placements) == ("cpu", "a:1 does not have it", {MOODS: CPU})


def test_what_the_endpoints_refuse_is_loading_until_the_process_refuses_it_too() -> None:
    nowhere = dict.fromkeys(KNOWN, "it is another model")
    there = EngineState("failed", "it is another model", device="remote", refused=nowhere)
    for here in (None, EngineState("loading", loading=KNOWN)):
        found = told(there, here)
        assert (found.phase, found.refused, found.loading) == ("loading", {}, KNOWN)
    found = told(there, EngineState("failed", refused=dict.fromkeys(KNOWN, "torch is not installed")))
    assert (found.phase, found.loading) == ("failed", frozenset())
    assert found.refused[WORDS] == "it is another model; the model process here: torch is not installed"


def test_what_the_process_refuses_is_not_refused_while_no_endpoint_answers() -> None:
    found = told(AWAY, EngineState("failed", refused=dict.fromkeys(KNOWN, "torch is not installed")))
    assert (found.phase, found.refused, found.loading) == ("restarting", {}, KNOWN)
    assert found.detail == f"{AWAY.detail}; the model process here: torch is not installed"


@pytest.mark.parametrize(
    ("here", "expected"),
    [
        (EngineState("starting"), f"{AWAY.detail}; a model process starts here"),
        (EngineState("failed", "it died"), f"{AWAY.detail}; the model process here: it died"),
    ],
)
def test_while_nobody_serves_the_detail_tells_of_both(here: EngineState, expected: str) -> None:
    assert told(AWAY, here).detail == expected


def test_a_process_that_hangs_is_news_only_while_models_run_in_it() -> None:
    hangs = EngineState("unresponsive", "it has sent nothing", pid=7, device="cpu", loaded=KNOWN)
    assert (told(AWAY, hangs).phase, told(AWAY, hangs).detail) == ("unresponsive", "it has sent nothing")
    assert told(SERVES, hangs).phase == "ready"


@pytest.mark.parametrize("needed", [frozenset[str](), frozenset({WORDS})])
def test_a_model_that_is_not_needed_keeps_nothing_from_being_ready(needed: frozenset[str]) -> None:
    found = both(EngineState("loading", loaded=frozenset({WORDS})), None, KNOWN, needed)
    assert found.phase == "ready"
    assert found.loading == {MOODS}
