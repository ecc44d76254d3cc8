"""Make a checkpoint that the daemon can serve from recordings of a user's own words or sounds.

The examples are prepared here; the network is in a process of its own, see fitting/fit.py. The model's folder appears
under its name when it is complete, and not before.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import msgspec

from earmark.audio.types import Samples
from earmark.checkpoints import child, reader, store
from earmark.checkpoints.checkpoint import Checkpoint
from earmark.checkpoints.pull import MODEL_ID
from earmark.errors import ModelError
from earmark.learning import leave_one_out, negatives, onnx_file
from earmark.learning.card import card
from earmark.learning.examples import MAX_WINDOWS, Example, bad_labels, fault, silence, too_few
from earmark.learning.find import EXAMPLE_VAD, ExampleFinder, read_recording, recording_files
from earmark.learning.job import Job
from earmark.learning.leave_one_out import Evaluation
from earmark.tomlfile.values import toml
from earmark.windowing.classifier_stream import GateKind

EVALUATION = "evaluation.json"

Tell = Callable[[str], None]
"""Called with a few words on what is being done now; texts that end in % say how far it is."""


@dataclass(frozen=True, slots=True)
class LearnRequest:
    """What to learn. `examples` are recordings by label, `backgrounds` are recordings without speech."""

    name: str
    examples: Mapping[str, Sequence[Path]]
    backgrounds: Sequence[Path]
    base: str = "earmark/commands"
    gate: GateKind = "speech"
    models: Path | None = None  # where models are kept; None: as store.root() says
    out: Path | None = None  # the folder itself, instead of one there
    force: bool = False  # keep the model even if it is hopeless

    @property
    def folder(self) -> Path:
        """The folder that the model is kept in."""
        return self.out or store.newest(self.models or store.root(), self.name)


@dataclass(frozen=True, slots=True)
class LearnedModel:
    """A new checkpoint."""

    name: str
    path: Path
    gate: GateKind
    window: float  # seconds
    evaluation: Evaluation
    needed: str  # what a daemon needs for it, a sentence

    def settings(self) -> str:
        """Return the lines for the daemon's configuration."""
        name, path = toml(self.name), toml(str(self.path))
        classifier = toml(self.name.rpartition("/")[2])
        return (
            f"[[model]]\nname = {name}\npath = {path}\n\n"
            f"[[classifier]]\nname = {classifier}\nmodel = {name}\ngate = {toml(self.gate)}\n\n"
            f"[classifier.vad]\nhangover_ms = {EXAMPLE_VAD.hangover_ms}\n\n"
            f"[classifier.decide]\non = {self.evaluation.threshold}\nlongest = {MAX_WINDOWS * self.window:g}\n"
        )


def check(request: LearnRequest) -> Checkpoint:
    """Check what can be known before anything is recorded. Returns the checkpoint to build upon. Raises ModelError."""
    if not MODEL_ID.fullmatch(request.name):
        raise ModelError(
            f"{request.name!r} is not a model's name; write letters, digits, and . _ - (NAME or OWNER/NAME)"
        )
    folder = request.folder
    if folder.exists() and not (folder / EVALUATION).is_file():
        raise ModelError(f"{folder} is there already, and is no model that was learnt; choose another name")
    if problem := bad_labels(list(request.examples)):
        raise ModelError(problem)
    embedded = reader.embedded()
    base = embedded.get(request.base) or Path(request.base)
    if not base.is_dir():
        raise ModelError(f"there is no model {request.base!r} to build upon; there are {', '.join(embedded)}")
    found = reader.read(base, request.base)
    negatives.read(base)
    return found


def learn(request: LearnRequest, tell: Tell) -> LearnedModel:
    """Make a checkpoint from recordings. Raises ModelError, or SourceError for a recording; no folder is left then."""
    base = check(request)
    window = base.window or base.rate
    job = _job(request, base, window, tell)
    folder = request.folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".learn-", dir=folder.parent) as scratch:
            staged = Path(scratch) / "model"
            staged.mkdir()
            evaluation = _fit(job, Path(scratch) / "job.npz", staged, tell)
            _judge(evaluation, request, tell)
            text = card(request.name, base, evaluation, job.backgrounds, date.today())
            (staged / "README.md").write_text(text, encoding="utf-8")
            for licence in Path(base.path).glob("LICENSE*"):  # the encoder's, whose weights are in the folder
                shutil.copy(licence, staged)
            reader.read(staged, request.name)
            needed = onnx_file.write(request.name, staged, folder.absolute(), tell)
            shutil.rmtree(folder, ignore_errors=True)  # a model that was learnt before, see check()
            staged.rename(folder)
    except OSError as error:
        raise ModelError(f"{request.name}: cannot be kept in {folder} ({error.strerror or error})") from error
    return LearnedModel(request.name, folder.absolute(), request.gate, window / base.rate, evaluation, needed)


def _job(request: LearnRequest, base: Checkpoint, window: int, tell: Tell) -> Job:
    """Read the recordings and find the examples. Raises ModelError if a label has too few, or SourceError."""
    finder = ExampleFinder(request.gate, base.rate, window)
    found = {label: _usable(finder, label, files, tell) for label, files in request.examples.items()}
    if problem := too_few({label: len(examples) for label, examples in found.items()}):
        raise ModelError(problem)
    labels = tuple(found)
    examples = [example for label in labels for example in found[label]]
    truth = [index for index, label in enumerate(labels) for _ in found[label]]
    paths = recording_files(request.backgrounds)
    backgrounds = [samples for path in paths if (samples := _background(path, base.rate, window, tell)) is not None]
    return Job(base.name, Path(base.path), labels, examples, truth, backgrounds, window, finder.pre_roll)


def _usable(finder: ExampleFinder, label: str, paths: Sequence[Path], tell: Tell) -> list[Example]:
    """Return the usable examples in these recordings, and tell what is wrong with the others."""
    usable: list[Example] = []
    for path in recording_files(paths):
        samples = read_recording(path, finder.rate)
        found = finder.find(samples, str(path))
        if not found:
            tell(f"left out: {label}: {path}: {silence(samples, finder.rate, finder.gate)}")
        for example in found:
            if problem := fault(example, finder.window, finder.rate):
                tell(f"left out: {label}: {problem}")
            else:
                usable.append(example)
    return usable


def _background(path: Path, rate: int, window: int, tell: Tell) -> Samples | None:
    """Return a recording of the background, or None if it is shorter than a window."""
    samples = read_recording(path, rate)
    if len(samples) < window:
        tell(f"left out: background: {path}: is shorter than {window / rate:g} s")
        return None
    return samples


def _fit(job: Job, file: Path, staged: Path, tell: Tell) -> Evaluation:
    """Run fitting/fit.py, which alone imports torch, in a process. Raises ModelError with its sentence."""
    job.write(file)
    per_label = Counter(job.truth)
    counts = ", ".join(f"{label} {per_label[index]}" for index, label in enumerate(job.labels))
    tell(f"learning from {len(job.examples)} examples: {counts}")
    tell("starting to learn: 0%")  # the process imports torch first
    child.run("earmark.fitting.fit", str(file), str(staged), tell=tell)
    return msgspec.json.decode((staged / EVALUATION).read_bytes(), type=Evaluation)


def _judge(evaluation: Evaluation, request: LearnRequest, tell: Tell) -> None:
    """Tell the figures and what follows from them. Raises ModelError if the model is hopeless, unless forced."""
    tell(f"each example, by a model that was learnt without it:\n\n{leave_one_out.table(evaluation)}\n")
    tell(f"of {evaluation.other} windows of other words, sentences and noise, {evaluation.false} draw a label")
    for sentence in leave_one_out.advice(evaluation):
        tell(sentence)
    if leave_one_out.is_hopeless(evaluation) and not request.force:
        raise ModelError(f"{request.name} is not kept: it would be wrong too often; --force keeps it all the same")
