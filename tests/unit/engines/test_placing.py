"""What a model process is asked for."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from earmark.checkpoints.checkpoint import Checkpoint
from earmark.config.settings import Cuda, Worker
from earmark.engines import wire
from earmark.engines.placing import Placing, told
from earmark.inference.engine import Placement
from earmark.placement.fallback import Fallback
from earmark.placement.known_threads import KnownThreads


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    (tmp_path / "model.onnx").touch()
    return Checkpoint("a/b", str(tmp_path), ("x", "y"), 16000, "whisper", None, 16000, 16000, 1)


class Gpu:
    """Looked for; counts how often."""

    def __init__(self, there: bool) -> None:
        self.there, self.looks = there, 0

    async def __call__(self) -> bool:
        self.looks += 1
        return self.there


def placing(settings: Worker, gpu: Gpu, known: KnownThreads | None = None) -> Placing:
    fallback = Fallback(settings.device, settings.precision, allowed=settings.fallback == "cpu")
    return Placing(settings, fallback, known or KnownThreads(), has_gpu=gpu)


def test_a_gpu_is_looked_for_only_where_a_model_could_run_without_torch(checkpoint: Checkpoint) -> None:
    without = replace(checkpoint, path="/nowhere")
    for settings, model, looks in (
        (Worker(), checkpoint, 1),
        (Worker(), without, 0),
        (Worker(device="cpu"), checkpoint, 0),
        (Worker(engine="torch"), checkpoint, 0),
    ):
        gpu = Gpu(there=False)
        asyncio.run(placing(settings, gpu).look([model]))
        assert gpu.looks == looks


def test_a_process_imports_the_engines_of_its_models(checkpoint: Checkpoint) -> None:
    both = [checkpoint, replace(checkpoint, name="c/d", path="/nowhere")]
    for gpu, engines in ((Gpu(there=False), {"onnx", "torch"}), (Gpu(there=True), {"torch"})):
        found = placing(Worker(), gpu)
        asyncio.run(found.look(both))
        assert found.engines(both) == engines


def test_a_model_that_moved_to_the_cpu_runs_on_onnxruntime_there(checkpoint: Checkpoint) -> None:
    settings = Worker(device="cuda", fallback="cpu")
    fallback = Fallback("cuda", "auto", allowed=True)
    found = Placing(settings, fallback, KnownThreads(), has_gpu=Gpu(there=True))
    assert found.load(checkpoint).engine == "torch"
    fallback.failed("it is gone", 0.0)
    assert (found.load(checkpoint).engine, found.start(0).device) == ("onnx", "cpu")


def test_what_was_measured_goes_with_the_next_request(checkpoint: Checkpoint) -> None:
    found = placing(Worker(device="cpu"), Gpu(there=False))
    assert found.load(checkpoint).threads == 0

    async def measured() -> None:
        found.loaded(checkpoint, wire.Loaded("a/b", "cpu", "onnx", "fp32", 2, "why", measured=True))

    asyncio.run(measured())
    assert found.load(checkpoint).threads == 2


def on_cuda(**cuda: Any) -> Placing:
    settings = Worker(device="cuda", fallback="cpu", cuda=Cuda(**cuda))
    fallback = Fallback("cuda", "auto", allowed=True)
    return Placing(settings, fallback, KnownThreads(), has_gpu=Gpu(there=True), windows={"a/b": {48000}}.__getitem__)


def test_graphs_and_transfers_are_asked_for_only_where_the_settings_want_them(checkpoint: Checkpoint) -> None:
    usual, wanted = on_cuda(), on_cuda(graphs="auto", transfers="pinned")
    assert (usual.load(checkpoint).graphs, usual.start(0).transfers) == ((), "plain")
    assert (wanted.load(checkpoint).graphs, wanted.start(0).transfers) == ((48000,), "pinned")


def test_on_the_cpu_no_graphs_are_asked_for(checkpoint: Checkpoint) -> None:
    here = placing(Worker(device="cpu", engine="torch", cuda=Cuda(graphs="auto")), Gpu(there=True))
    onnx = placing(Worker(engine="onnx", cuda=Cuda(graphs="auto")), Gpu(there=True))
    assert (here.load(checkpoint).graphs, onnx.load(checkpoint).graphs) == ((), ())


def test_a_capture_that_failed_has_the_process_replaced_and_is_told_with_the_model(checkpoint: Checkpoint) -> None:
    found = on_cuda(graphs="auto")
    assert found.captures(wire.Capture("a/b", "begins")) == ""
    assert found.captures(wire.Capture("a/b", "failed", "it is full")) == (
        "ended because it could not capture the CUDA graphs of a/b (it is full)"
    )
    asked = found.load(checkpoint)
    assert asked.graphs == ()
    assert asked.why == "worker.device is cuda; no CUDA graphs, because capturing them failed (it is full)"


def test_a_process_that_died_while_it_captured_is_followed_by_one_that_does_not_and_the_operator_hears_it(
    checkpoint: Checkpoint, caplog: pytest.LogCaptureFixture
) -> None:
    found = on_cuda(graphs="auto")
    found.captures(wire.Capture("a/b", "begins"))
    found.ended("was killed by SIGABRT", died=True, in_a_row=1)
    assert found.load(checkpoint).graphs == ()
    why = "the model process was killed by SIGABRT while it captured them"
    assert [record.getMessage() for record in caplog.records] == [f"a/b gets no CUDA graphs any more, because {why}"]


def test_a_capture_that_is_done_is_blamed_for_nothing(checkpoint: Checkpoint) -> None:
    found = on_cuda(graphs="auto")
    assert found.captures(wire.Capture("a/b", "begins")) == ""
    assert found.captures(wire.Capture("a/b", "done")) == ""
    found.ended("was killed by SIGABRT", died=True, in_a_row=1)
    assert found.load(checkpoint).graphs == (48000,)


@pytest.mark.parametrize(
    ("placed", "sentence"),
    [
        (
            Placement("torch", "cuda", "bf16", 0, "it has a GPU"),
            "(cuda, bf16), because it has a GPU",
        ),
        (Placement("torch", "cpu", "fp32", 1, ""), "(cpu, fp32, 1 thread)"),
        (Placement("torch", "cpu", "fp32", 2, ""), "(cpu, fp32, 2 threads)"),
    ],
)
def test_a_sentence_says_on_what_a_model_runs_and_why(placed: Placement, sentence: str) -> None:
    assert told("a/b", placed) == f"a/b runs on torch {sentence}"
