"""Which models get CUDA graphs, after what happened to the processes that captured some."""

from __future__ import annotations

import pytest

from earmark.placement.cuda_graphs import CudaGraphs

ABORTED = "was killed by SIGABRT"


def test_graphs_are_captured_for_the_windows_of_the_classifiers_else_for_the_models_own() -> None:
    graphs = CudaGraphs(wanted=True)
    assert graphs.lengths("a", 16000, ()) == (16000,)
    assert graphs.lengths("a", 16000, [48000, 32000, 48000]) == (32000, 48000)
    assert graphs.lengths("a", 16000, [5, 4, 3, 2, 1]) == (1, 2, 3)


def test_nobody_who_did_not_ask_for_graphs_gets_any_or_hears_of_them() -> None:
    graphs = CudaGraphs(wanted=False)
    assert graphs.lengths("a", 16000, [48000]) == ()
    assert graphs.why_not("a") == ""


def test_after_a_death_during_a_capture_the_next_process_captures_nothing_of_that_model() -> None:
    graphs = CudaGraphs(wanted=True)
    graphs.begins("a")
    why = f"the model process {ABORTED} while it captured them"
    assert graphs.ended(ABORTED, died=True, in_a_row=1) == f"a gets no CUDA graphs any more, because {why}"
    assert graphs.why_not("a") == why
    assert graphs.lengths("a", 16000, ()) == ()
    assert graphs.lengths("b", 16000, ()) == (16000,)


def test_a_model_whose_capture_failed_gets_no_graphs_any_more() -> None:
    graphs = CudaGraphs(wanted=True)
    graphs.begins("a")
    graphs.failed("a", "OutOfMemoryError: CUDA out of memory")
    assert graphs.why_not("a") == "capturing them failed (OutOfMemoryError: CUDA out of memory)"
    assert graphs.lengths("a", 16000, ()) == ()
    assert graphs.ended("ended so that it is replaced", died=False, in_a_row=0) == ""


def test_a_death_after_a_capture_is_not_blamed_on_it_at_once() -> None:
    graphs = CudaGraphs(wanted=True)
    graphs.begins("a")
    graphs.done()
    assert graphs.ended(ABORTED, died=True, in_a_row=1) == ""
    assert graphs.lengths("a", 16000, ()) == (16000,)


def test_after_two_deaths_in_a_row_of_processes_with_graphs_no_model_gets_any() -> None:
    graphs = CudaGraphs(wanted=True)
    told = []
    for deaths in (1, 2, 3):
        graphs.begins("a")
        graphs.done()
        told.append(graphs.ended(ABORTED, died=True, in_a_row=deaths))
    why = f"2 model processes that had some died in a row; the last one {ABORTED}"
    assert told == ["", f"no model gets CUDA graphs any more, because {why}", ""]
    assert graphs.lengths("b", 16000, ()) == ()
    assert graphs.why_not("b").startswith("3 model processes")


@pytest.mark.parametrize("deaths", [1, 2, 5])
def test_deaths_of_processes_without_graphs_say_nothing_about_them(deaths: int) -> None:
    graphs = CudaGraphs(wanted=True)
    assert graphs.ended(ABORTED, died=True, in_a_row=deaths) == ""
    assert graphs.lengths("a", 16000, ()) == (16000,)


def test_a_process_that_was_replaced_during_a_capture_is_no_death() -> None:
    graphs = CudaGraphs(wanted=True)
    graphs.begins("a")
    assert graphs.ended("ended so that the GPU is tried again", died=False, in_a_row=0) == ""
    assert graphs.ended(ABORTED, died=True, in_a_row=1) == ""  # the next one had not begun to capture
    assert graphs.lengths("a", 16000, ()) == (16000,)
