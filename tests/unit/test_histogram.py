from __future__ import annotations

from earmark.histogram import Histogram, HistogramCounts


def test_a_value_counts_in_the_first_bucket_whose_bound_is_not_below_it() -> None:
    histogram = Histogram((1, 2, 4))
    for value in (0.5, 1, 1.001, 2, 4, 4.001, 100):
        histogram.observe(value)
    assert histogram.counts() == HistogramCounts((1, 2, 4), (2, 2, 1, 2), 112.502)


def test_a_histogram_without_values_has_a_bucket_for_each_bound_and_one_more() -> None:
    assert Histogram((0.1,)).counts() == HistogramCounts((0.1,), (0, 0), 0.0)
