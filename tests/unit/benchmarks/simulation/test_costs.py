"""The costs of the simulation."""

from __future__ import annotations

from benchmarks.simulation.costs import Costs, measured


def test_the_figures_of_a_run_of_the_benchmarks_replace_those_that_are_known() -> None:
    rows = [
        {"measure": "worker: embedded model, fp32 on onnx: through the worker", "value": 400.0, "unit": "windows/s"},
        {"measure": "5,000 subscribers: CPU of an event and subscriber", "value": 8.0, "unit": "µs CPU"},
        {"measure": "5,000 subscribers: the same beside a stuck one", "value": 9.0, "unit": "µs CPU"},
    ]
    costs, sources = measured(rows, "bench.json")
    assert (costs.window, costs.deliver, costs.quiet) == (1 / 400, 8e-6, Costs().quiet)
    assert sources["window"] == "bench.json: worker: embedded model, fp32 on onnx: through the worker"
    assert sources["store"].startswith("an assumption")
