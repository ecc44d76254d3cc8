from __future__ import annotations

from typing import Any

import pytest

from earmark.gating.silero import Silero


def test_the_model_is_loaded_once_for_all_that_use_it(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[object] = []
    runtime = pytest.importorskip("onnxruntime")
    load = runtime.InferenceSession

    def counted(*arguments: Any, **options: Any) -> Any:
        loaded.append(arguments)
        return load(*arguments, **options)

    monkeypatch.setattr(runtime, "InferenceSession", counted)
    for _ in range(3):
        Silero()
    assert len(loaded) <= 1  # 0 if another test has loaded it
