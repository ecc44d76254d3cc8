"""Which sizes of batches get a CUDA graph, and which batches are run by one."""

from __future__ import annotations

import pytest

from earmark.cuda.buckets import Cost, fits, routes, sizes, told


@pytest.mark.parametrize(
    ("max_batch", "chosen"),
    [
        (1, (1,)),
        (2, (2, 1)),
        (3, (3, 2, 1)),
        (24, (24, 16, 8, 4, 2, 1)),
        (32, (32, 16, 8, 4, 2, 1)),
        (1024, (32, 16, 8, 4, 2, 1)),
    ],
)
def test_the_sizes_are_powers_of_two_and_the_largest_batch_from_large_to_small(
    max_batch: int, chosen: tuple[int, ...]
) -> None:
    assert sizes(max_batch) == chosen


def test_where_launches_take_the_time_each_batch_goes_to_the_next_larger_graph() -> None:
    costs = {size: Cost(eager=20.0, replay=5.0) for size in (8, 4, 2, 1)}
    assert routes(costs) == (0, 1, 2, 4, 4, 8, 8, 8, 8)


def test_where_kernels_take_the_time_a_batch_is_not_padded_to_a_graph_that_computes_more() -> None:
    costs = {size: Cost(eager=10.0 * size, replay=9.0 * size) for size in (4, 2, 1)}
    assert routes(costs) == (0, 1, 2, 0, 4)  # three windows take 30 without a graph, and 36 in that for four


def test_a_graph_that_is_hardly_faster_is_not_used() -> None:
    assert routes({1: Cost(eager=1.05, replay=1.0)}) == (0, 1)
    assert routes({1: Cost(eager=1.04, replay=1.0)}) == (0, 0)


def test_a_size_that_was_left_out_is_run_by_the_next_larger_one() -> None:
    assert routes({8: Cost(10.0, 2.0), 1: Cost(10.0, 2.0)}) == (0, 1, 8, 8, 8, 8, 8, 8, 8)


def test_fewer_windows_than_the_smallest_size_are_taken_to_cost_as_much_as_it_does() -> None:
    assert routes({4: Cost(10.0, 2.0)}) == (0, 4, 4, 4, 4)


def test_without_a_measurement_nothing_is_run_by_a_graph() -> None:
    assert routes({}) == (0,)


@pytest.mark.parametrize(
    ("needed", "kept", "fit"),
    [(250, 0, True), (251, 0, False), (10, 250, True), (10, 251, False), (250, 250, True)],
)
def test_graphs_share_a_quarter_of_the_memory_that_was_free(needed: int, kept: int, fit: bool) -> None:
    assert fits(needed, kept, free=1000) is fit


def test_a_sentence_names_the_sizes_in_use() -> None:
    assert told({4, 1, 2}, 12_300_000) == "CUDA graphs run batches of 1, 2 and 4 (12 MB)"
    assert told({1}, 0) == "CUDA graphs run batches of 1 (0 MB)"
