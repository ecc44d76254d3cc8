"""What only a GPU of NVIDIA can show: its graphs and transfers change no score, and a capture that fails does no harm.

`benchmarks/gpu.sh` runs these tests before it measures. Each one compares with the same model without any of it.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from earmark.audio.types import Floats
from earmark.checkpoints import reader
from earmark.config import settings as config
from earmark.engines.supervisor import LocalEngine
from earmark.placement.choice import Transfers
from earmark.runtimes.runtime import Wanted
from earmark.worker import model
from earmark.worker.model import AudioModel
from tests import checkpoints
from tests.daemon import DEADLINE, ROOT

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA")

RATE = checkpoints.RATE
LENGTHS = RATE, RATE + RATE // 2
LARGEST = 8  # windows
# Of logits, as shares of the largest one or of 1. Kernels for another number of windows round otherwise; an answer of
# another window differs by 1. A model process computes convolutions in TF32
TOLERANCES = {"fp32": 1e-3, "tf32": 2e-2, "bf16": 0.15}
CUDA = torch.device("cuda")


@pytest.fixture(autouse=True)
def no_tf32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


def noise(windows: int, length: int = RATE, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).normal(0, 0.1, (windows, length)).astype(np.float32)


def quickened(plain: AudioModel, graphs: tuple[int, ...] = (), transfers: Transfers = "plain") -> AudioModel:
    """Return the same model with graphs and transfers. Both share their weights."""
    said: list[str] = []
    wanted = Wanted(
        "m", Path(), 5, "cuda", graphs=graphs, transfers=transfers, on_capture=lambda state, why: said.append(state)
    )
    quick = plain.with_cuda(wanted)
    quick.warm_up(LENGTHS[0], LARGEST)
    assert said == (["begins", "done"] if graphs else [])
    return quick


def is_near(ours: Floats, theirs: Floats, precision: str = "fp32") -> bool:
    most = TOLERANCES[precision] * max(1.0, float(np.abs(theirs).max()))
    return ours.shape == theirs.shape and float(np.abs(ours - theirs).max()) <= most


@pytest.fixture
def whisper(tmp_path: Path) -> AudioModel:
    return model.load("m", checkpoints.save(tmp_path, "whisper"), CUDA, "fp32")


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("kind", checkpoints.MAKERS)
def test_graphs_have_the_logits_of_the_network_for_odd_numbers_of_windows_and_lengths_by_turns(
    kind: str, precision: str, tmp_path: Path
) -> None:
    plain = model.load("m", checkpoints.save(tmp_path, kind), CUDA, precision)
    quick = quickened(plain, LENGTHS)
    assert quick.told.startswith("CUDA graphs run batches of "), quick.told
    for windows in (3, 1, 7, 8, 9, 5):
        for length in (*LENGTHS, 2 * RATE):
            sound = noise(windows, length, seed=windows)
            assert is_near(quick.classify(sound), plain.classify(sound), precision), (windows, length)


def test_a_graph_outlives_the_tables_that_its_network_replaces_for_longer_windows(tmp_path: Path) -> None:
    network, extractor = checkpoints.MAKERS["wav2vec2-conformer"]()
    network.config.position_embeddings_type = "rotary"
    rotary = type(network)(network.config)
    rotary.save_pretrained(tmp_path)
    extractor.save_pretrained(tmp_path)
    plain = model.load("m", tmp_path, CUDA, "fp32")
    quick = quickened(plain, (RATE,))
    sound = noise(3)
    before = quick.classify(sound)
    plain.classify(noise(3, 2 * RATE))  # another table takes the place of the one that was captured
    torch.cuda.empty_cache()
    filler = [torch.full((size,), torch.nan, device=CUDA) for size in range(100, 100_000, 1000)]
    assert is_near(quick.classify(sound), before)
    del filler


@pytest.mark.parametrize("graphs", [(), LENGTHS])
@pytest.mark.parametrize("transfers", ["pinned", "overlapped"])
def test_no_batch_has_the_sound_or_the_answer_of_another_one(
    transfers: Transfers, graphs: tuple[int, ...], whisper: AudioModel
) -> None:
    quick = quickened(whisper, graphs, transfers)
    for number in range(100):  # the memory of earlier batches is used again and again
        sounds = [noise(1 + (number + part) % LARGEST, seed=2 * number + part) for part in range(2)]
        if quick.begin is None:
            found = [quick.classify(sound) for sound in sounds]
        else:
            shared = [sound.copy() for sound in sounds]
            waits = [quick.begin(sound) for sound in shared]
            for sound in shared:
                sound[:] = 0  # as the daemon does with its slots, only sooner
            found = [wait() for wait in waits]
        for sound, logits in zip(sounds, found, strict=True):
            assert is_near(logits, whisper.classify(sound)), number


FULL = """
import sys, torch
from pathlib import Path
from earmark.cuda import capture
from earmark.runtimes.runtime import Wanted, noise
from earmark.worker import model
plain = model.load("m", Path(sys.argv[1]), torch.device("cuda"), "fp32")
forward = plain._network.forward
def hungry(**inputs):
    if torch.cuda.is_current_stream_capturing():
        torch.empty(2**50, dtype=torch.uint8, device="cuda")
    return forward(**inputs)
plain._network.forward = hungry
said = []
wanted = Wanted("m", Path(), 5, "cuda", graphs=(16000,), on_capture=lambda *told: said.append(told))
quick = plain.with_cuda(wanted)
quick.warm_up(16000, 8)
assert [state for state, _ in said] == ["begins", "failed"], said
assert "no CUDA graphs, because" in quick.told, quick.told
for windows in (1, 3, 8):
    sound = noise(windows, 16000)
    assert abs(quick.classify(sound) - plain.classify(sound)).max() < 1e-3
torch.cuda.synchronize()
print("it goes on")
"""


def test_a_model_answers_on_after_a_capture_for_which_there_was_no_memory(tmp_path: Path) -> None:
    folder = checkpoints.save(tmp_path, "whisper")
    # In a process of its own, because torch's allocator is not to be trusted after it
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(folder)], cwd=ROOT, capture_output=True, text=True, timeout=3 * DEADLINE
    )
    assert (done.returncode, done.stdout.strip()) == (0, "it goes on"), done.stderr


def test_the_memory_of_graphs_is_given_back_with_their_model(tmp_path: Path) -> None:
    folder = checkpoints.save(tmp_path, "whisper")

    def used() -> int:
        model.free_memory()
        torch.cuda.synchronize()
        return torch.cuda.memory_reserved()

    def load_and_drop() -> None:
        quickened(model.load("m", folder, CUDA, "fp32"), LENGTHS, "overlapped")

    load_and_drop()  # libraries take memory of their own the first time
    before = used()
    for _ in range(3):
        load_and_drop()
    assert used() <= before


@pytest.fixture
def answers(tmp_path: Path) -> Callable[[config.Cuda], list[Floats]]:
    """Return a function that lets a model process answer 32 batches, two at a time."""
    checkpoint = reader.read(checkpoints.save(tmp_path, "wav2vec2-layer"), "test/tiny")

    async def asked(cuda: config.Cuda) -> list[Floats]:
        settings = config.Worker(device="cuda", precision="fp32", max_batch=LARGEST, cuda=cuda)
        found: list[Floats] = []
        async with asyncio.timeout(6 * DEADLINE), LocalEngine(settings, [checkpoint]) as engine:
            await engine.ready()
            assert engine.state.restarts == 0, engine.state
            for number in range(16):
                pair = [list(noise(1 + (number + part) % LARGEST, seed=2 * number + part)) for part in range(2)]
                found += await asyncio.gather(*(engine.classify("test/tiny", each) for each in pair))
            if cuda.graphs == "auto":
                assert "CUDA graphs run batches of" in engine.state.placements["test/tiny"].why
        return found

    return lambda cuda: asyncio.run(asked(cuda))


def test_the_model_process_answers_the_same_with_all_of_it(answers: Callable[[config.Cuda], list[Floats]]) -> None:
    plain, quick = answers(config.Cuda()), answers(config.Cuda(graphs="auto", transfers="overlapped"))
    assert len(quick) == len(plain)
    assert all(is_near(ours, theirs, "tf32") for ours, theirs in zip(quick, plain, strict=True))
