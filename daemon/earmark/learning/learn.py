"""`earmark learn`: a user's own words or sounds into a checkpoint that the daemon can serve.

What is heard is prepared here; the network is in a process of its own, see learn_process. A folder appears under its
name when all is well with it, and not before.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import msgspec

from earmark.audio.types import Samples
from earmark.checkpoints import checkpoint
from earmark.checkpoints import store as pulled
from earmark.checkpoints.pull import MODEL_ID
from earmark.errors import ModelError
from earmark.learning import card as learned_card
from earmark.learning import find as takes
from earmark.learning import leave_one_out as leftout
from earmark.learning import negatives
from earmark.learning.examples import FEWEST, LONGEST, Example, bad_labels, fault, silence, too_few
from earmark.learning.job import Job
from earmark.windowing.classifier_stream import GateKind

EVALUATION = "evaluation.json"

Tell = Callable[[str], None]
"""Told in a few words what is being done now; texts that end in % say how far it is."""


@dataclass(frozen=True, slots=True)
class LearnRequest:
    """What is to be learnt. `examples` are recordings by label, `rooms` recordings in which nothing is said."""

    name: str
    examples: Mapping[str, Sequence[Path]]
    rooms: Sequence[Path]
    base: str = "earmark/commands"
    gate: GateKind = "speech"
    models: Path | None = None  # where models are kept; None: as pulled.root() says
    out: Path | None = None  # the folder itself, instead of one there
    force: bool = False  # keep it even where it is hopeless

    @property
    def folder(self) -> Path:
        return self.out or pulled.newest(self.models or pulled.root(), self.name)


@dataclass(frozen=True, slots=True)
class LearnedModel:
    """A new checkpoint."""

    name: str
    path: Path
    gate: GateKind
    window: float  # seconds that it hears
    figures: leftout.Evaluation

    def settings(self) -> str:
        """The lines for the daemon's configuration."""
        path = str(self.path).replace("\\", "\\\\").replace('"', '\\"')
        title = self.name.rpartition("/")[2]
        return (
            f'[[model]]\nname = "{self.name}"\npath = "{path}"\n\n'
            f'[[classifier]]\nname = "{title}"\nmodel = "{self.name}"\ngate = "{self.gate}"\n\n'
            f"[classifier.vad]\nhangover_ms = {takes.VAD.hangover_ms}\n\n"
            f"[classifier.decide]\non = {self.figures.threshold}\nlongest = {LONGEST * self.window:g}\n"
        )


def check(wish: LearnRequest) -> checkpoint.Checkpoint:
    """What can be known before anything is recorded; the checkpoint to build upon. Raises ModelError."""
    if not MODEL_ID.fullmatch(wish.name):
        raise ModelError(f"{wish.name!r} is not a model's name; write letters, digits, and . _ - (NAME or OWNER/NAME)")
    folder = wish.folder
    if folder.exists() and not (folder / EVALUATION).is_file():
        raise ModelError(f"{folder} is there already, and is no model that was learnt; choose another name")
    if problem := bad_labels(list(wish.examples)):
        raise ModelError(problem)
    embedded = checkpoint.embedded()
    base = embedded.get(wish.base) or Path(wish.base)
    if not base.is_dir():
        raise ModelError(f"there is no model {wish.base!r} to build upon; there are {', '.join(embedded)}")
    found = checkpoint.read(base, wish.base)
    negatives.read(base)
    return found


def learn(wish: LearnRequest, tell: Tell) -> LearnedModel:
    """From recordings to a checkpoint. Raises ModelError, or SourceError for a recording; nothing is left half done."""
    base = check(wish)
    window = base.window or base.rate
    finder = takes.ExampleFinder(wish.gate, base.rate, window)
    found = {label: _usable(finder, label, files, tell) for label, files in wish.examples.items()}
    if problem := too_few({label: len(some) for label, some in found.items()}, FEWEST):
        raise ModelError(problem)
    labels = tuple(found)
    truth = [index for index, label in enumerate(labels) for _ in found[label]]
    examples = [take for label in labels for take in found[label]]
    rooms = [
        room for path in takes.recordings(wish.rooms) if (room := _room(path, base.rate, window, tell)) is not None
    ]
    job = Job(base.name, base.path, labels, examples, truth, rooms, window, finder.pre_roll)
    folder = wish.folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".learn-", dir=folder.parent) as scratch:
            staged = Path(scratch) / "model"
            staged.mkdir()
            figures = _work(job, Path(scratch) / "job.npz", staged, tell)
            _consider(figures, wish, tell)
            card = learned_card.card(wish.name, base, figures, rooms, date.today())
            (staged / "README.md").write_text(card, encoding="utf-8")
            checkpoint.read(staged, wish.name)
            shutil.rmtree(folder, ignore_errors=True)  # one that was learnt before, see check()
            staged.rename(folder)
    except OSError as error:
        raise ModelError(f"{wish.name}: cannot be kept in {folder} ({error.strerror or error})") from error
    return LearnedModel(wish.name, folder.absolute(), wish.gate, window / base.rate, figures)


def _usable(finder: takes.ExampleFinder, label: str, paths: Sequence[Path], tell: Tell) -> list[Example]:
    """The takes in these recordings; what is wrong with the others is told."""
    usable: list[Example] = []
    for path in takes.recordings(paths):
        samples = takes.read(path, finder.rate)
        found = finder.find(samples, str(path))
        if not found:
            tell(f"left out: {label}: {path}: {silence(samples, finder.rate, finder.gate)}")
        for take in found:
            if problem := fault(take, finder.window, finder.rate):
                tell(f"left out: {label}: {problem}")
            else:
                usable.append(take)
    return usable


def _room(path: Path, rate: int, window: int, tell: Tell) -> Samples | None:
    """A recording of the background, unless it is shorter than a window."""
    samples = takes.read(path, rate)
    if len(samples) < window:
        tell(f"left out: background: {path}: is shorter than {window / rate:g} s")
        return None
    return samples


def _work(job: Job, file: Path, staged: Path, tell: Tell) -> leftout.Evaluation:
    """Run learn_process; torch stays in it. Raises ModelError with its sentence."""
    job.write(file)
    per_label = Counter(job.truth)
    counts = ", ".join(f"{label} {per_label[index]}" for index, label in enumerate(job.labels))
    tell(f"learning from {len(job.takes)} examples: {counts}")
    with tempfile.TemporaryFile("w+", errors="replace") as complaints:
        process = subprocess.Popen(
            [sys.executable, "-m", "earmark.worker.fit", str(file), str(staged)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
            env={**os.environ, "OMP_WAIT_POLICY": "passive"},  # beside a daemon, waiting threads would burn its time
        )
        try:
            assert process.stdout is not None
            with process.stdout:
                for line in process.stdout:
                    tell(line.rstrip())
            code = process.wait()
        finally:
            if process.poll() is None:  # Ctrl-C
                process.kill()
                process.wait()
        if code:
            complaints.seek(0)
            said = complaints.read().strip().splitlines() or [f"the process that learns ended with {code}"]
            raise ModelError(said[-1])
    return msgspec.json.decode((staged / EVALUATION).read_bytes(), type=leftout.Evaluation)


def _consider(figures: leftout.Evaluation, wish: LearnRequest, tell: Tell) -> None:
    """Tell the figures, and what to make of them. Raises ModelError where there is no use in keeping the model."""
    tell(f"each example, by a model that was learnt without it:\n\n{leftout.table(figures)}\n")
    tell(f"of {figures.other} windows of other words, sentences and noise, {figures.false} draw a label")
    for sentence in leftout.advice(figures):
        tell(sentence)
    if leftout.is_hopeless(figures) and not wish.force:
        raise ModelError(f"{wish.name} is not kept: it would be wrong too often; --force keeps it all the same")
