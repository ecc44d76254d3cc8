"""Silero VAD as we run it against the package's own implementation, on speech."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from earmark.audio.pcm import mono
from earmark.audio.types import Samples
from earmark.gating.silero import CONTEXT, STEP, Silero
from earmark.learning.find import ExampleFinder
from tests.signals import demo, demo_file, noise

# In a process of its own: importing silero_vad sets torch's threads and imports torch.
REFERENCE = """
import json, sys, warnings
warnings.simplefilter("ignore")
import silero_vad, soundfile, torch
samples, rate = soundfile.read(sys.argv[1], dtype="float32")
model = silero_vad.load_silero_vad()
steps = [torch.from_numpy(samples[i : i + 512]) for i in range(0, len(samples) - 511, 512)]
print(json.dumps([model(step, rate).item() for step in steps]))
"""


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> list[float]:
    command = [sys.executable, "-c", REFERENCE, str(demo_file(tmp_path_factory.mktemp("reference")))]
    probabilities: list[float] = json.loads(
        subprocess.run(command, capture_output=True, check=True, timeout=120).stdout
    )
    return probabilities


def frames(samples: Samples) -> list[Samples]:
    padded = np.concatenate([np.zeros(CONTEXT, np.float32), samples])
    return [padded[at : at + CONTEXT + STEP] for at in range(0, len(samples) - STEP + 1, STEP)]


def published() -> Path:
    spec = importlib.util.find_spec("silero_vad")
    if spec is None or spec.origin is None:
        pytest.skip("silero-vad is not installed")
    return Path(spec.origin).parent / "data" / "silero_vad.onnx"


def test_probabilities_equal_the_reference_implementation_on_speech(reference: list[float]) -> None:
    silero = Silero()
    slot = silero.join()

    got = [float(silero.probabilities([slot], [frame])[0]) for frame in frames(demo()[0])]

    np.testing.assert_allclose(got, reference, atol=1e-3)
    assert max(reference) > 0.9


@pytest.mark.parametrize("streams", [1, 3, 70])
def test_probabilities_equal_those_of_the_published_network_in_onnxruntime(streams: int) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(str(published()), providers=["CPUExecutionProvider"])
    silero = Silero()
    slots = [silero.join() for _ in range(streams)]
    state = np.zeros((2, streams, 128), np.float32)
    levels = np.random.default_rng(0).uniform(-90, 0, streams)
    heard = [frames(noise(20 * STEP, level, seed)) for seed, level in enumerate(levels)]
    for at in range(20):
        batch = [each[at] for each in heard]
        expected, state = session.run(None, {"input": np.stack(batch), "state": state, "sr": np.array(16000)})

        got = silero.probabilities(slots, batch)

        np.testing.assert_allclose(got, expected[:, 0], atol=1e-5)


def test_a_stream_does_not_depend_on_its_company_in_the_batch(reference: list[float]) -> None:
    silero = Silero()
    slots = [silero.join() for _ in range(5)]
    speech = frames(demo()[0])[:200]
    others = [frames(noise(200 * STEP, -20, seed)) for seed in range(4)]
    order = [slots[3], slots[0], slots[4], slots[1], slots[2]]

    got = [silero.probabilities(order, [frame, *(other[at] for other in others)])[0] for at, frame in enumerate(speech)]

    np.testing.assert_allclose(got, reference[:200], atol=1e-3)


def test_a_slot_given_back_begins_afresh(reference: list[float]) -> None:
    silero = Silero()
    slot = silero.join()
    for frame in frames(noise(50 * STEP, -20)):
        silero.probabilities([slot], [frame])
    silero.leave(slot)
    again = silero.join()

    got = [float(silero.probabilities([again], [frame])[0]) for frame in frames(demo()[0])[:50]]

    assert again == slot
    np.testing.assert_allclose(got, reference[:50], atol=1e-3)


@pytest.mark.parametrize("value", [3e18, np.inf, np.nan])
def test_after_floats_that_no_sound_has_speech_is_heard(value: float) -> None:
    samples, rate, words = demo(longest=8.5)
    absurd = mono((np.sign(noise(8 * rate, 0)) * value).reshape(-1, 1))
    finder = ExampleFinder("speech", rate, rate)
    begun = [begin / rate - 8 for begin, _ in finder.spans(np.concatenate([absurd, samples]))]
    for word in words:
        assert any(abs(at - word.start) < 0.15 for at in begun), (word, begun)
