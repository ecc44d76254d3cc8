"""How long the windows are that a model is given."""

from __future__ import annotations

from earmark.checkpoints.checkpoint import Checkpoint
from earmark.listening.lengths import windows_of
from earmark.windowing.windows import Lengths


def checkpoint(name: str, rate: int = 16000) -> Checkpoint:
    return Checkpoint(name, "/nowhere", ("x", "y"), rate, "wav2vec2", None, None, None, 400)


def lengths(window: int) -> Lengths:
    return Lengths(window, 10 * window, 8000, 4800, 4000)


def test_a_models_windows_are_those_of_the_classifiers_that_hear_with_it_each_once() -> None:
    heard = [(lengths(window), (checkpoint(name),)) for name, window in (("a", 48000), ("a", 16000), ("b", 32000))]
    assert windows_of("a", [*heard, *heard]) == {48000, 16000}
    assert windows_of("c", heard) == set()


def test_a_second_look_is_at_the_same_sound_at_the_rate_of_the_other_model() -> None:
    heard = [(lengths(48000), (checkpoint("a"), checkpoint("b", rate=8000)))]
    assert (windows_of("a", heard), windows_of("b", heard)) == ({48000}, {24000})
