"""On which engines the models of a configuration will run."""

from __future__ import annotations

from pathlib import Path

from earmark.config.settings import Classifier, Config, Model, Worker
from earmark.placement.forecast import engines


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


def test_of_a_model_that_is_not_there_nothing_is_known() -> None:
    assert engines(Config(classifier=(Classifier(name="c", model="acme/absent"),))) == frozenset()
