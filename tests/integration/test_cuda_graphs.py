"""Networks that are run by recorded batches, on a stand-in for a GPU; and what a real one could not record of them."""

from __future__ import annotations

import gc
import logging
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from earmark.cuda.graphs import Graphs, Inputs
from earmark.worker import features, model
from tests import checkpoints
from tests.recorder import MEASURED_BYTES, Recorder, Run, Tape

RATE = 16000
LARGEST = 4  # windows


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)  # two wait for each other where other work takes turns with them


class Network(torch.nn.Module):
    """The sum of the samples of a window, and of a table that grows with the longest window so far."""

    def __init__(self) -> None:
        super().__init__()
        self.table = torch.zeros(1)

    def forward(self, input_values: torch.Tensor) -> Any:
        length = input_values.shape[1]
        if len(self.table) < length:
            self.table = torch.arange(length, dtype=torch.float32)
        return SimpleNamespace(logits=(input_values + self.table[:length]).sum(dim=1, keepdim=True))


class Said:
    """What became of the captures, as the daemon is told it."""

    def __init__(self) -> None:
        self.states: list[str] = []
        self.whys: list[str] = []

    def __call__(self, state: str, why: str) -> None:
        self.states.append(state)
        self.whys.append(why)


def sound(windows: int, length: int = 8, first: float = 1.0) -> Inputs:
    return {"input_values": torch.arange(first, first + windows * length).reshape(windows, length)}


def captured(network: Any, recorder: Recorder, *lengths: int, said: Said | None = None) -> Graphs:
    graphs = Graphs("m", network, recorder, said or Said())
    graphs.capture((sound(LARGEST, length), sound(LARGEST, length, first=50.0)) for length in lengths)
    return graphs


def run(graphs: Graphs, inputs: Inputs) -> torch.Tensor:
    with torch.inference_mode():
        return graphs.run(inputs)


@pytest.mark.parametrize("kind", checkpoints.MAKERS)
def test_recorded_batches_have_the_logits_of_the_network_for_any_number_of_windows_and_lengths_by_turns(
    kind: str,
) -> None:
    torch.manual_seed(0)
    network, extractor = checkpoints.MAKERS[kind]()
    network.eval()
    module = features.on_device(extractor)
    assert module is not None

    def made(windows: int, length: int) -> Inputs:
        found: Inputs = module(0.1 * torch.randn(windows, length))
        return found

    recorder = Recorder()
    graphs = Graphs("m", network, recorder, Said())
    graphs.capture((made(LARGEST, length), made(LARGEST, length)) for length in (RATE, RATE + RATE // 2))
    before, expected_replays = recorder.replays, 0
    for windows in (3, 1, 4, 5, 2):
        for length in (RATE, RATE + RATE // 2):
            inputs = made(windows, length)
            with torch.inference_mode():
                expected = network(**inputs).logits
                assert torch.allclose(graphs.run(inputs), expected, rtol=1e-4, atol=1e-4), (windows, length)
            expected_replays += windows <= LARGEST
    assert recorder.replays - before == expected_replays
    assert graphs.told == "CUDA graphs run batches of 1, 2 and 4 (0 MB)"


def test_no_batch_hears_anything_of_another_one() -> None:
    graphs = captured(Network(), Recorder(), 8)
    loud, quiet = sound(4, first=1000.0), sound(3)
    first = run(graphs, loud)
    kept = first.clone()
    assert torch.equal(run(graphs, quiet), Network()(**quiet).logits)
    assert torch.equal(first, kept)  # the answer of the batch before is its own


def test_the_places_behind_a_batch_have_its_first_window_and_nothing_of_the_batch_before() -> None:
    recorder = Recorder()
    graphs = captured(Network(), recorder, 8)
    run(graphs, sound(4, first=1000.0))
    quiet = sound(3)
    run(graphs, quiet)
    largest = recorder.tapes[0]
    one = Network()(**{"input_values": quiet["input_values"][:1]}).logits
    assert torch.equal(largest.output[3:], one)


def test_another_length_or_type_and_more_windows_are_run_without_a_graph() -> None:
    recorder = Recorder()
    graphs = captured(Network(), recorder, 8)
    before = recorder.replays
    for inputs in (sound(2, length=9), sound(LARGEST + 1), {"input_values": sound(2)["input_values"].double()}):
        assert torch.equal(run(graphs, inputs), Network()(**inputs).logits)
    assert recorder.replays == before


def test_two_lengths_that_the_extractor_makes_equal_are_recorded_once() -> None:
    recorder = Recorder()
    captured(Network(), recorder, 8, 8)
    assert len(recorder.tapes) == 3


def test_others_have_their_turn_on_the_device_between_two_captures() -> None:
    recorder = Recorder()
    captured(Network(), recorder, 8, 9)
    assert recorder.turns == 6  # three sizes of two lengths


def test_what_a_recording_reads_stays_alive_when_the_network_replaces_it() -> None:
    network = Network()
    graphs = captured(network, Recorder(), 8)
    table = weakref.ref(network.table)
    network(**sound(1, length=20))
    assert network.table is not table()
    assert table() is not None
    del graphs
    gc.collect()  # a tape knows the run that it repeats
    assert table() is None


def test_graphs_that_are_not_faster_are_given_up() -> None:
    recorder = Recorder(eager=1.0, replay=1.0)
    graphs = captured(Network(), recorder, 8)
    assert graphs.told == "no CUDA graphs, because none is faster"
    assert all(tape.is_free for tape in recorder.tapes)
    assert torch.equal(run(graphs, sound(2)), Network()(**sound(2)).logits)


def test_a_batch_that_would_take_too_much_memory_gets_no_graph_and_smaller_ones_do() -> None:
    recorder = Recorder(free=4 * 2 * MEASURED_BYTES)
    assert captured(Network(), recorder, 8).told == "CUDA graphs run batches of 1 and 2 (0 MB)"
    graphs = captured(Network(), Recorder(free=MEASURED_BYTES), 8)
    assert graphs.told == "no CUDA graphs, because none fits into 25% of the GPU's free memory"


class Cramped(Recorder):
    """Has no memory for three windows or more, and finds out when they are measured."""

    def measure(self, run: Run) -> tuple[float, int]:
        if len(run()) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().measure(run)


def test_a_batch_for_which_there_is_no_memory_at_all_gets_no_graph() -> None:
    said = Said()
    assert captured(Network(), Cramped(), 8, said=said).told == "CUDA graphs run batches of 1 and 2 (0 MB)"
    assert said.states == ["begins", "done"]


class Failing(Recorder):
    """Fails at the second recording."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def record(self, run: Run) -> Tape:
        if self.tapes:
            raise self.error
        return super().record(run)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("CUDA error: operation not permitted when stream is capturing\nand more"),
    ],
)
def test_after_the_first_failure_nothing_is_recorded_any_more_and_it_is_said_once(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    recorder, said = Failing(error), Said()
    graphs = captured(Network(), recorder, 8, 9, said=said)
    why = f"{type(error).__name__}: {str(error).splitlines()[0]}"
    assert graphs.told == f"no CUDA graphs, because {why}"
    assert list(zip(said.states, said.whys, strict=True)) == [("begins", ""), ("failed", why)]
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.WARNING, f"m: no CUDA graphs, because {why}")
    ]
    assert len(recorder.tapes) == 1
    before = recorder.replays
    for windows in range(1, 6):
        assert torch.equal(run(graphs, sound(windows)), Network()(**sound(windows)).logits)
    assert recorder.replays == before


class Stuck(Tape):
    """Says the same whatever is asked."""

    def replay(self) -> None:
        pass


class StuckRecorder(Recorder):
    def record(self, run: Run) -> Tape:
        return Stuck(run, 0)


def test_a_recording_that_says_something_else_than_the_network_is_not_used(caplog: pytest.LogCaptureFixture) -> None:
    said = Said()
    graphs = captured(Network(), StuckRecorder(), 8, said=said)
    assert graphs.told.startswith("no CUDA graphs, because Different: the one for 4 windows differs by ")
    assert said.states == ["begins", "done"]  # nothing is broken
    assert torch.equal(run(graphs, sound(2)), Network()(**sound(2)).logits)
    assert len(caplog.records) == 1


class Nothing(Tape):
    def replay(self) -> None:
        self.output.fill_(torch.nan)


class NothingRecorder(Recorder):
    def record(self, run: Run) -> Tape:
        return Nothing(run, 0)


@pytest.mark.usefixtures("caplog")
def test_a_recording_that_gives_no_number_is_not_used() -> None:
    assert "Different" in captured(Network(), NothingRecorder(), 8).told


def test_a_network_that_fails_by_itself_asks_for_another_process(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Network):
        def forward(self, input_values: torch.Tensor) -> Any:
            raise RuntimeError("CUDA error: unspecified launch failure")

    said = Said()
    graphs = captured(Broken(), Recorder(), 8, said=said)
    assert said.states == ["begins", "failed"]
    assert "unspecified launch failure" in graphs.told
    with pytest.raises(RuntimeError, match="unspecified launch failure"):
        run(graphs, sound(1))


class Spy(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch does not annotate it
    """Notes what cannot be recorded: copies from the host, and operations whose result decides what comes next.

    The network is on torch's device "meta", which has shapes and no numbers, so whatever asks for a number fails by
    itself. A CPU tensor without dimensions is no copy: its number becomes an argument of the kernel.
    """

    WAITING = ("aten::nonzero", "aten::_local_scalar_dense", "aten::masked_select", "aten::where")
    INDEXED_BY_MASKS = ("aten::index.Tensor", "aten::index_put", "aten::index_put_")

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # as above
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, kwargs = func.name(), kwargs or {}
        given = [each for each in tree_leaves((args, kwargs)) if isinstance(each, torch.Tensor)]
        if name in ("aten::masked_fill.Tensor", "aten::masked_fill_.Tensor") and args[2].device.type == "cpu":
            # CUDA takes such a value as a number; "meta" does not
            fill = torch.ops.aten.masked_fill if name.endswith("fill.Tensor") else torch.ops.aten.masked_fill_
            return fill.Scalar(args[0], args[1], args[2].item())
        made = func(*args, **kwargs)
        on = {each.device.type for each in tree_leaves(made) if isinstance(each, torch.Tensor)}
        from_host = [each for each in given if each.device.type == "cpu" and "meta" in on]
        if any(each.dim() for each in from_host) or (from_host and name.startswith("aten::_to_copy")):
            self.found.append(f"{name} from the host")
        if name.startswith(self.WAITING) and any(each.device.type == "meta" for each in given) and len(given) == 1:
            self.found.append(name)
        if name in self.INDEXED_BY_MASKS:
            self._look_at_mask(name, args)
        return made

    def _look_at_mask(self, name: str, args: Any) -> None:
        """Note an index that is a mask. To put one number where a mask is true is a fill, and decides nothing."""
        is_mask = any(each is not None and each.dtype in (torch.bool, torch.uint8) for each in args[1])
        if is_mask and not (name.startswith("aten::index_put") and args[2].numel() == 1):
            self.found.append(f"{name} with a mask")


@pytest.fixture
def capturing(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let transformers believe that a stream is being captured, because then it looks at no mask."""
    with monkeypatch.context() as patch:
        patch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
        yield


@pytest.mark.usefixtures("capturing")
@pytest.mark.parametrize("kind", checkpoints.MAKERS)
def test_no_network_copies_from_the_host_or_waits_for_the_device_while_it_is_recorded(kind: str) -> None:
    network, extractor = checkpoints.MAKERS[kind]()
    module = features.on_device(extractor)
    assert module is not None
    inputs = {name: values.to("meta") for name, values in module(torch.zeros(3, RATE)).items()}
    network.eval().to("meta")
    with torch.inference_mode():
        with Spy():
            network(**inputs)  # what it remembers from here on, it need not compute when it is recorded
        with Spy() as spy:
            network(**inputs)
    assert spy.found == []


def put_on_meta(folder: Path) -> tuple[Any, Inputs]:
    """Return the network of a checkpoint, and what it takes for three windows, on torch's device "meta"."""
    loaded = model.load("m", folder, torch.device("cpu"), "fp32")
    made = loaded._made(np.zeros((3, RATE), np.float32))
    return loaded._network.to("meta"), {name: values.to("meta") for name, values in made.items()}


@pytest.mark.usefixtures("capturing")
@pytest.mark.parametrize(
    "save",
    [
        lambda folder: checkpoints.save_with_head(folder, "out_proj"),
        checkpoints.save_with_age_and_gender,
        checkpoints.save_with_attention,
        checkpoints.save_clap,
    ],
    ids=["tanh", "age and gender", "attention", "clap"],
)
def test_nor_do_the_heads_of_authors_or_clap(save: Callable[[Path], Any], tmp_path: Path) -> None:
    save(tmp_path)
    network, inputs = put_on_meta(tmp_path)
    with torch.inference_mode(), Spy() as spy:
        network(**inputs)
    assert spy.found == []


@pytest.mark.usefixtures("capturing")
def test_a_clap_with_fusion_asks_the_device_which_windows_are_long_and_cannot_be_recorded(tmp_path: Path) -> None:
    network, inputs = put_on_meta(checkpoints.save_clap(tmp_path, fused=True))
    with torch.inference_mode(), Spy(), pytest.raises(NotImplementedError, match="nonzero"):
        network(**inputs)


def test_the_spy_finds_what_cannot_be_recorded() -> None:
    there = torch.zeros(3, 4, device="meta")
    with Spy() as spy:
        torch.arange(3).to("meta")
        there[torch.zeros(3, dtype=torch.bool, device="meta")] = torch.zeros(1, 4, device="meta")
        there[torch.zeros(3, dtype=torch.bool, device="meta")] = 0.0
        there + torch.tensor(1.0)
    assert spy.found == ["aten::_to_copy from the host", "aten::index_put_ with a mask"]
