"""The settings that are in force: those of the configuration file, with what the command line says on top."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import msgspec

from earmark.config import presets
from earmark.config.file import load
from earmark.config.settings import Config, Journal
from earmark.config.sources import File, Source
from earmark.errors import ConfigError

DEMO = str(files("earmark") / "demo" / "demo.flac")
MAX_STEM = 48  # characters of a file's name that become the name of its source


@dataclass(frozen=True, slots=True)
class CommandLine:
    """The options of `earmarkd` that change settings. `files` are the recordings to listen to."""

    demo: bool = False
    files: tuple[str, ...] = ()
    fast: bool = False
    once: bool = False
    listen: str | None = None


class Reader:
    """Reads the settings, at the start and again for each reload. Each call raises ConfigError as resolve() does.

    Some editors empty a file before they write it. So an empty file is refused where it would change the settings that
    were read before: it must not turn a microphone on.
    """

    def __init__(self, path: Path | None, command_line: CommandLine) -> None:
        self._path = path
        self._command_line = command_line
        self._before: Config | None = None

    def __call__(self) -> Config:
        """Return the settings as they are now.

        A pipe, such as that of `<(…)`, is read once: the second time it gives nothing, or waits.
        """
        path = self._path
        if self._before is not None and path is not None and os.path.exists(path) and not os.path.isfile(path):
            raise ConfigError(
                f"{path}: is no file that can be read again; restart the daemon for another configuration"
            )
        may_be_empty = self._before in (None, apply(self._command_line, Config()))
        self._before = resolve(self._path, self._command_line, may_be_empty=may_be_empty)
        return self._before


def resolve(path: Path | None, command_line: CommandLine, *, may_be_empty: bool = True) -> Config:
    """Return the settings of the file at `path`, or the defaults, as the command line changes them.

    Depends on nothing but the file and the command line, so it may be called again while the daemon runs. Raises
    ConfigError.
    """
    if path is not None:
        config = load(path, may_be_empty=may_be_empty)
    else:
        config = Config(classifier=presets.ALL) if command_line.demo else Config()
    return apply(command_line, config)


def apply(command_line: CommandLine, config: Config) -> Config:
    """Return `config` as the command line changes it. Raises ConfigError if the options contradict each other.

    Recordings take the place of the configured sources, and every classifier hears them. What is heard with --demo or
    --once is kept only where the configuration names a folder for it.
    """
    if complaint := contradiction(command_line):
        raise ConfigError(complaint)
    if sources := recordings(command_line):
        heard_by_all = tuple(msgspec.structs.replace(classifier, sources=()) for classifier in config.classifier)
        config = msgspec.structs.replace(config, source=sources, classifier=heard_by_all)
    if command_line.listen is not None:
        server = msgspec.structs.replace(config.server, listen=command_line.listen)
        config = msgspec.structs.replace(config, server=server)
    named = isinstance(config.journal, Journal) and config.journal.path
    if (command_line.demo or command_line.once) and not named:
        config = msgspec.structs.replace(config, journal=False)
    return config


def contradiction(command_line: CommandLine) -> str:
    """Return what the options cannot mean together, as a sentence, or an empty string."""
    if command_line.demo and command_line.files:
        return "--demo and --file both say what to listen to; choose one"
    if command_line.fast and not command_line.files and not (command_line.demo and command_line.once):
        return "--fast goes with --file, or with --demo --once: only a recording can be read faster than it sounds"
    return ""


def recordings(command_line: CommandLine) -> tuple[Source, ...]:
    """Return a source for each recording that the command line names; --demo names the bundled one."""
    if command_line.demo:
        return (File(name="demo", path=DEMO, fast=command_line.fast, loop=not command_line.once),)
    sources: list[Source] = []
    for path in command_line.files:
        name = source_name(path, [source.name for source in sources])
        sources.append(File(name=name, path=path, fast=command_line.fast))
    return tuple(sources)


def source_name(path: str, taken: Sequence[str]) -> str:
    """Return a name for a source that plays the file: its stem, with a number if that name is taken."""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", Path(path).stem).strip("-")[:MAX_STEM] or "file"
    names: Iterable[str] = itertools.chain([stem], (f"{stem}-{number}" for number in itertools.count(2)))
    return next(name for name in names if name not in taken)
