"""`earmarkd --check`: whether a configuration would run, and what of it would have no effect, without running it."""

from __future__ import annotations

import asyncio
import functools
import importlib.util
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from earmark.app import keeping
from earmark.checkpoints import child, weights
from earmark.checkpoints.catalogue import Entry, catalogue
from earmark.checkpoints.checkpoint import Checkpoint
from earmark.checkpoints.reader import embedded
from earmark.config import settings as config
from earmark.config.brokers import Nats
from earmark.config.complaints import useless
from earmark.config.sources import Command, File, Microphone, Network, Source
from earmark.devices.inputs import choose
from earmark.devices.portaudio import Input, list_inputs
from earmark.devices.sound_server import ServerSource, SoundServer
from earmark.errors import ArchiveError, ConfigError, EarmarkError, JournalError, ModelError, SourceError
from earmark.jetstream.login import nats_login
from earmark.listening.plan import Plan, checkpoints_of, default_model, plan
from earmark.perimeter import bind
from earmark.placement import gpu
from earmark.placement.forecast import forecast
from earmark.protocol import licence
from earmark.protocol.endpoints import AUDIO
from earmark.publish.login import login
from earmark.recordings import recording
from earmark.server.server import read_access, read_pair


@dataclass(slots=True)
class Report:
    """What was found. `errors` would end the daemon at its start; it would start and work on despite `warnings`."""

    lines: list[str] = field(default_factory=list)  # what would run, for people
    warnings: list[str] = field(default_factory=list)
    errors: list[EarmarkError] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0 without errors, 2 if the configuration is wrong, and 1 if something that it names is."""
        return max((error.exit_code for error in self.errors), default=0)

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """Collect the error that is raised inside, unless it is known."""
        try:
            yield
        except EarmarkError as error:
            if str(error) not in map(str, self.errors):
                self.errors.append(error)


@dataclass(frozen=True, slots=True)
class Machine:
    """What of this machine is asked, each with a function."""

    inputs: Callable[[], Sequence[Input]] = list_inputs
    server_sources: Callable[[], Sequence[ServerSource]] = SoundServer().sources
    try_device: Callable[[str, str], None] = lambda device, precision: child.run(
        "earmark.worker.device", device, precision
    )  # in a process of its own, because torch is imported there and nowhere else
    has_gpu: Callable[[], bool] = lambda: asyncio.run(gpu.is_there())
    is_free: Callable[[config.Server], bool] = bind.is_free
    has_package: Callable[[str], bool] = lambda name: importlib.util.find_spec(name) is not None
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    has_program: Callable[[str], bool] = lambda name: shutil.which(name) is not None


def verify(settings: config.Config, machine: Machine | None = None) -> Report:
    """Check everything that the settings name, and return all that is wrong with it."""
    report, machine = Report(), machine or Machine()
    _check_server(settings.server, report, machine)
    engines = forecast(settings.worker, _check_models(settings, report), machine)
    report.lines, report.errors = report.lines + engines.lines, report.errors + list(engines.errors)
    report.warnings += engines.warnings
    for index, source in enumerate(settings.source):
        _check_source(f"source[{index}]", source, report, machine)
    for index, each in enumerate(settings.publish):
        with report.collecting():
            if isinstance(each, Nats):
                servers = nats_login(each, f"publish[{index}]").address
                report.lines.append(f"publisher {each.name}: NATS, {servers}, stream {each.stream}")
                continue
            found = login(each, f"publish[{index}]")
            report.lines.append(f"publisher {each.name}: MQTT, {found.address}, as {found.node}")
    report.warnings += useless(settings, functools.cache(machine.has_gpu))
    try:
        keeping.check(settings.journal, machine.environ)
    except (ConfigError, JournalError) as error:
        report.warnings.append(f"journal: {error}")
    try:
        if folder := keeping.check_clips(settings, machine.environ):
            report.lines.append(f"the sound of what is detected is kept in {folder}")
    except ArchiveError as error:
        report.warnings.append(f"clips: {error}")
    return report


def _check_server(server: config.Server, report: Report, machine: Machine) -> None:
    with report.collecting():
        read_access(server)
    with report.collecting():
        read_pair(server)
    with report.collecting():
        if not machine.is_free(server):
            report.warnings.append(f"server.listen: somebody listens on {server.listen} now, perhaps another earmarkd")


def _check_models(settings: config.Config, report: Report) -> list[Checkpoint]:
    """Check the models of classifiers, then those that only requests use: without one of the latter, the rest runs.

    Returns those that the model process loads at its start.
    """
    entries, read = catalogue(settings), functools.cache(_read)
    needed: dict[str, Checkpoint] = {}
    for index in range(len(settings.classifier)):
        with report.collecting():
            chosen = plan(settings, index, entries, read)
            report.lines.append(_told(chosen))
            values, asked = chosen.values, chosen.settings.decide.labels
            if values and values == chosen.labels and not asked:
                report.warnings.append(
                    f"classifier[{index}].decide.labels: {chosen.checkpoint.name} answers with values and no"
                    f" probabilities, so that no label goes on; give those that should a threshold here, such as"
                    f" {{ {values[0]} = 0.7 }}"
                )
            needed |= checkpoints_of([chosen])
    report.warnings += [remark for checkpoint in needed.values() for remark in checkpoint.remarks]
    if not settings.source:
        report.lines.append("no source: clips over HTTP are classified, and nothing is listened to")
    if not settings.classifier:
        with report.collecting():
            needed[""] = read(entries[default_model(settings)])
    used = {model for classifier in settings.classifier for model in classifier.models}
    for index, model in enumerate(settings.model):
        where = f"model[{index}]"
        if model.name not in used:
            try:
                report.warnings += read(entries[model.name]).remarks
            except ModelError as error:
                report.warnings.append(f"{where}: requests for it will fail: {error}")
        if model.name in embedded() and entries[model.name].origin == "embedded":
            if not (model.aliases or model.default or model.function or model.labels):
                report.warnings.append(f"{where}: {model.name} comes with Earmark and needs no entry")
        elif model.name in embedded():
            report.warnings.append(f"{where}: takes the place of the {model.name} that comes with Earmark")
    return list(needed.values())


def _read(entry: Entry) -> Checkpoint:
    checkpoint = entry.read()
    weights.check(checkpoint)
    return checkpoint


def _told(plan: Plan) -> str:
    return (
        f"classifier {plan.name}: {plan.checkpoint.name}, {_labels(plan)}, "
        f"{plan.settings.gate} gate, {plan.settings.mode}, hears {', '.join(plan.sources) or 'nothing'}; "
        f"licence {licence.told(plan.checkpoint.licence)}{_second_told(plan)}"
    )


def _labels(plan: Plan) -> str:
    chosen = plan.label_set
    if chosen is None:
        return f"{len(plan.labels)} labels"
    return f"{len(chosen.labels)} labels given here and {len(chosen.background)} of the background"


def _second_told(plan: Plan) -> str:
    """Return the end of the line about a classifier that looks twice."""
    if plan.second is None:
        return ""
    checkpoint, model = plan.second
    return f"; {sum(model.knows)} labels confirmed by {checkpoint.name}, licence {licence.told(checkpoint.licence)}"


def _check_source(where: str, source: Source, report: Report, machine: Machine) -> None:
    match source:
        case Microphone():
            try:
                found = choose(source.device, machine.inputs(), machine.server_sources)
            except SourceError as error:
                report.warnings.append(f"{where}.device: {error}; the daemon would wait for it")
            else:
                needed = max(source.channels, source.channel or 1)
                if needed > found.channels:
                    report.warnings.append(
                        f"{where}.channels: {found.name} has {found.channels}, not {needed}: it may not open"
                    )
        case File():
            with report.collecting():
                recording.check(source.path, source.channel)
        case Network():
            report.lines.append(f"source {source.name}: a client sends its sound to {AUDIO}?source={source.name}")
        case Command():
            if not machine.has_program(source.argv[0]):
                what = "file that can be run" if Path(source.argv[0]).is_absolute() else "program"
                report.warnings.append(f"{where}.argv: there is no {what} {source.argv[0]!r}; the daemon would try on")
