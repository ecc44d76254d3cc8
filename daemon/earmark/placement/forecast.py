"""On which engine the models of a configuration would run, and whether it could run them. Without loading one."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from earmark.checkpoints.catalogue import catalogue
from earmark.checkpoints.checkpoint import Checkpoint
from earmark.checkpoints.exported import FILES, exported, kind_of
from earmark.checkpoints.reader import embedded
from earmark.config import settings as config
from earmark.errors import ModelError
from earmark.placement import gpu
from earmark.placement.choice import Choice, Engine, choose
from earmark.placement.fallback import on_cpu
from earmark.placement.network_file import is_onnx

CPU_DEVICES = ("auto", "cpu")
REMOTE_PACKAGES = ("grpc",)  # protobuf comes with onnxruntime too
PACKAGES: dict[Engine, tuple[str, ...]] = {"onnx": ("onnxruntime",), "torch": ("torch", "transformers")}


def engine_of(folder: Path, engine: str, device: str, precision: str, has_gpu: Callable[[], bool]) -> Choice:
    """Return the engine of the model in a folder. The GPU is asked for only if that makes a difference."""
    kind = kind_of(precision)
    is_there = exported(folder, kind) is not None
    with_gpu, without = (
        choose(engine, device, precision, FILES[kind], exported=is_there, has_gpu=has) for has in (True, False)
    )
    return without if with_gpu == without or not has_gpu() else with_gpu


def engines(settings: config.Config) -> frozenset[Engine]:
    """Return the engines that the models of the classifiers will probably need, or nothing if a model is not there.

    It takes some milliseconds, and whatever it says, each model gets the engine that is right for it.
    """
    entries, worker = catalogue(settings), settings.worker
    if worker.engine == "oip":
        return frozenset()
    names = {each.model for each in settings.classifier} or set(embedded())
    try:
        found = {
            engine_of(entries[name].folder(), worker.engine, worker.device, worker.precision, gpu.may_be_there)
            for name in names
        }
    except (ModelError, KeyError):
        return frozenset()
    return frozenset(choice.engine for choice in found)


@dataclass(slots=True)
class Forecast:
    """What was found. `errors` would end the daemon at its start; it would work on despite `warnings`."""

    lines: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    errors: list[ModelError] = field(default_factory=list)


class Machine(Protocol):
    """What of the machine is asked, each with a function."""

    @property
    def has_package(self) -> Callable[[str], bool]:
        """Whether a package is installed."""

    @property
    def has_gpu(self) -> Callable[[], bool]:
        """Whether torch would find a GPU."""

    @property
    def try_device(self) -> Callable[[str, str], None]:
        """Raise ModelError if torch does not have the device, or not with the precision."""


def forecast(worker: config.Worker, checkpoints: Collection[Checkpoint], machine: Machine) -> Forecast:
    """Say what each model would run on."""
    found, engines = Forecast(), set[Engine]()
    if worker.engine == "oip":
        found.lines += [f"model {each.name}: {', '.join(worker.remote.endpoints)}" for each in checkpoints]
        if absent := [name for name in REMOTE_PACKAGES if not machine.has_package(name)]:
            found.errors.append(ModelError(f"{absent[0]} is not installed: pip install 'earmark[oip]'"))
        if worker.fallback == "cpu":
            here = forecast(on_cpu(worker), checkpoints, machine)
            found.lines += [f"{line}, while no endpoint serves it" for line in here.lines]
            found.warnings += [f"{error}; nothing would take the place of the endpoints" for error in here.errors]
        return found
    for checkpoint in checkpoints:
        choice = engine_of(Path(checkpoint.path), worker.engine, worker.device, worker.precision, machine.has_gpu)
        engines.add(choice.engine)
        found.lines.append(f"model {checkpoint.name}: {PACKAGES[choice.engine][0]}, because {choice.why}")
        file = FILES[kind_of(worker.precision)]
        if choice.engine == "onnx" and checkpoint.takes_labels:
            found.errors.append(only_on_torch(checkpoint.name))
        elif choice.engine == "onnx" and not (Path(checkpoint.path) / file).is_file():
            found.errors.append(no_export(checkpoint.name, file))
        elif choice.engine == "onnx" and (wrong := _trash(checkpoint.name, Path(checkpoint.path) / file)):
            if choice.strict:
                found.errors.append(ModelError(wrong))
            else:
                found.warnings.append(f"{wrong}. Until then torch runs it")
                engines.add("torch")
    needed = [name for engine in sorted(engines) for name in PACKAGES[engine]]
    if absent := [name for name in needed if not machine.has_package(name)]:
        found.errors.append(ModelError(f"{absent[0]} is not installed: pip install 'earmark[daemon]'"))
    elif ("torch" in engines or not engines) and (worker.device not in CPU_DEVICES or worker.precision == "int8"):
        try:
            machine.try_device(worker.device, worker.precision)
        except ModelError as error:
            if worker.fallback == "none" or worker.device in CPU_DEVICES:
                found.errors.append(error)
            else:
                found.warnings.append(f"{error}; the models would run on the CPU")
    return found


def _trash(name: str, file: Path) -> str:
    """Return why the file of an exported network is none, and empty where it looks like one."""
    again = f"`earmark export {name}` makes it anew"
    try:
        return "" if is_onnx(file) else f"{name}: its {file.name} is no file of ONNX, or only a part of one; {again}"
    except OSError as error:
        return f"{name}: its {file.name} cannot be read ({error.strerror}); {again}"


def only_on_torch(name: str) -> ModelError:
    """Return the error of a model that takes its labels at run time, on an engine that has no way for them."""
    return ModelError(f'{name}: takes its labels at run time, and runs on torch here; set worker.engine = "auto"')


def no_export(name: str, file: str) -> ModelError:
    """Return the error of a model that has no exported network where one is wanted."""
    return ModelError(f"{name}: its folder holds no {file}; `earmark export {name}` makes one")
