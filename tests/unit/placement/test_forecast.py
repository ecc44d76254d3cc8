"""On which engines the models of a configuration will run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from earmark.checkpoints.reader import read
from earmark.config.settings import Classifier, Config, Model, Remote, Worker
from earmark.placement.forecast import engines, forecast
from tests.labelled import clap_folder


def of(folder: Path, **worker: str) -> frozenset[str]:
    return engines(
        Config(
            worker=Worker(device="cpu", **worker),  # type: ignore[arg-type]  # mypy cannot see through **
            model=(Model(name="a/b", path=str(folder)),),
            classifier=(Classifier(name="c", model="a/b"),),
        )
    )


def test_the_engines_of_a_configuration_are_known_from_the_files_of_its_models(tmp_path: Path) -> None:
    assert of(tmp_path) == {"torch"}
    (tmp_path / "model.onnx").touch()
    assert of(tmp_path) == {"onnx"}
    assert of(tmp_path, engine="torch") == {"torch"}
    assert of(tmp_path, precision="int8") == {"torch"}


@pytest.mark.parametrize("engine", ["auto", "torch", "onnx", "oip"])
def test_a_model_that_takes_labels_runs_on_torch_alone(tmp_path: Path, engine: Any) -> None:
    class Machine:
        has_package = staticmethod(lambda name: True)
        has_gpu = staticmethod(lambda: False)
        try_device = staticmethod(lambda device, precision: None)

    worker = Worker(engine=engine, remote=Remote(endpoints=("localhost:1",)))
    found = forecast(worker, [read(clap_folder(tmp_path), "a/clap")], Machine())
    sentence = 'a/clap: takes its labels at run time, and runs on torch here; set worker.engine = "auto"'
    assert [str(error) for error in found.errors] == ([sentence] if engine == "onnx" else [])


def test_of_a_model_that_is_not_there_nothing_is_known() -> None:
    assert engines(Config(classifier=(Classifier(name="c", model="acme/absent"),))) == frozenset()
