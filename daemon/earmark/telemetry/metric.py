"""Metrics of Prometheus of each kind, made of values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)

from earmark.histogram import HistogramCounts


def info(name: str, text: str, values: Mapping[str, str]) -> Metric:
    """Return a metric that tells the values of so many labels."""
    return InfoMetricFamily(name, text, dict(values))


def gauge(name: str, text: str, value: float) -> Metric:
    """Return a gauge without labels."""
    return GaugeMetricFamily(name, text, value)


def counter(name: str, text: str, value: float) -> Metric:
    """Return a counter without labels."""
    return CounterMetricFamily(name, text, value)


def maybe(family: GaugeMetricFamily | CounterMetricFamily, values: Sequence[float]) -> Metric:
    """Return the family with the one value that there is, or with none."""
    for value in values:
        family.add_metric((), value)
    return family


def gauges(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    """Return a gauge for each value of `label`."""
    family = GaugeMetricFamily(name, text, None, (label,))
    for each, value in values.items():
        family.add_metric((each,), value)
    return family


def counters(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    """Return a counter for each value of `label`."""
    family = CounterMetricFamily(name, text, None, (label,))
    for each, value in values.items():
        family.add_metric((each,), value)
    return family


def histograms(name: str, text: str, label: str, values: Mapping[str, HistogramCounts]) -> Metric:
    """Return a histogram for each value of `label`, or one without labels if there is none."""
    family = HistogramMetricFamily(name, text, labels=(label,) if label else ())
    for each, counts in values.items():
        total, buckets = 0, []
        for bound, count in zip((*map(float, counts.bounds), float("inf")), counts.counts, strict=True):
            total += count
            buckets.append((_le(bound), float(total)))
        family.add_metric((each,) if label else (), buckets, counts.sum)
    return family


def _le(bound: float) -> str:
    return "+Inf" if bound == float("inf") else str(bound)
