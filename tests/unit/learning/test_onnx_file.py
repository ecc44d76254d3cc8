"""What is said of a learnt model that was exported, or was not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from earmark.errors import ModelError
from earmark.learning.onnx_file import write

STAGED, FOLDER = Path("/models/.learn-1/model"), Path("/models/my lights")


def exports(module: str, *arguments: str, tell: Callable[[str], None]) -> None:
    tell(f"{module} {' '.join(arguments)}")


def fails(module: str, *arguments: str, tell: Callable[[str], None]) -> None:
    raise ModelError("lights: the exported network is not kept, because its scores differ")


def test_a_model_that_was_exported_needs_no_torch_and_the_steps_are_told() -> None:
    told: list[str] = []
    sentence = write("lights", STAGED, FOLDER, told.append, lambda: True, exports)
    assert sentence == "a daemon runs lights without torch on a CPU"
    assert told == [
        "writing model.onnx, with which a daemon needs no torch for lights",
        f"earmark.exporting.run --brief lights {STAGED} fp32",
    ]


def test_without_the_package_the_command_that_exports_the_kept_model_is_named() -> None:
    told: list[str] = []
    assert write("lights", STAGED, FOLDER, told.append, lambda: False, fails) == (
        "no model.onnx was written, so a daemon needs torch for lights: "
        "pip install 'earmark[export]', and then: earmark export '/models/my lights'"
    )
    assert told == []


def test_a_model_that_cannot_be_exported_is_learnt_all_the_same_and_the_reason_is_told() -> None:
    assert write("lights", STAGED, FOLDER, lambda line: None, lambda: True, fails) == (
        "no model.onnx was written, so a daemon needs torch for lights: "
        "lights: the exported network is not kept, because its scores differ"
    )
