"""The configuration file: TOML in, a checked Config out, or one sentence that says what to mend."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from earmark.config.brokers import Gateway, Mqtt, Nats
from earmark.config.complaints import complaints
from earmark.config.settings import Config, Journal
from earmark.config.sources import Command, File
from earmark.errors import ConfigError
from earmark.tomlfile.explain import explained
from earmark.tomlfile.lines import in_one_line
from earmark.tomlfile.reading import read

P = TypeVar("P", bound=Mqtt | Nats | Gateway)

FILES = ("password_file", "token_file", "credentials_file", "ca")
"""The settings of a login that name files."""


def load(path: Path, *, may_be_empty: bool = True) -> Config:
    """Read a configuration file. Paths in it that are not absolute begin in its folder.

    Raises ConfigError with the file, the line, the table, the key and the nearest known key; several mistakes are a
    line each.
    """
    return read(
        path,
        lambda tables: anchored(parse(tables), path.absolute().parent),
        kind="a configuration file",
        absent="`earmarkd --example` lists configurations to begin with",
        may_be_empty=may_be_empty,
    )


def parse(tables: dict[str, Any]) -> Config:
    """Return the configuration in TOML tables, checked as a whole. Raises ConfigError, with a line for each mistake."""
    try:
        config = msgspec.convert(tables, Config)
    except msgspec.ValidationError as error:
        raise ConfigError(in_one_line(explained(str(error), tables, Config))) from None
    if found := [in_one_line(sentence) for sentence in complaints(config)]:
        raise ConfigError("\n".join(found))
    return config


def anchored(config: Config, folder: Path) -> Config:
    """Return `config` with every path in it absolute: `~` is the home folder, other paths begin in `folder`.

    The program of a command is a path if it contains a slash. Raises ConfigError if this user has no home folder.
    """

    def absolute(where: str, path: str) -> str:
        expanded = os.path.expanduser(path)
        if expanded.startswith("~"):
            home = in_one_line(expanded.partition("/")[0])
            raise ConfigError(f"{where}: {home} is no home folder on this machine; write the whole path, or set HOME")
        return str(folder / expanded)

    replace = msgspec.structs.replace
    server = config.server
    for name in ("token_file", "certificate_file", "key_file"):
        if file := getattr(server, name):
            server = replace(server, **{name: absolute(f"server.{name}", file)})
    remote = config.worker.remote
    for name in ("token_file", "ca_file"):
        if file := getattr(remote, name):
            remote = replace(remote, **{name: absolute(f"worker.remote.{name}", file)})
    journal = config.journal
    if isinstance(journal, Journal) and journal.path:
        journal = replace(journal, path=absolute("journal.path", journal.path))
    clips = config.clips
    if clips.path:
        clips = replace(clips, path=absolute("clips.path", clips.path))
    sources = list(config.source)
    for index, source in enumerate(sources):
        if isinstance(source, File):
            sources[index] = replace(source, path=absolute(f"source[{index}].path", source.path))
        elif isinstance(source, Command) and "/" in source.argv[0]:
            program = absolute(f"source[{index}].argv", source.argv[0])
            sources[index] = replace(source, argv=(program, *source.argv[1:]))

    def with_paths(where: str, each: P) -> P:
        given = {name: path for name in FILES if (path := getattr(each, name, ""))}
        return replace(each, **{name: absolute(f"{where}.{name}", path) for name, path in given.items()})

    publish = tuple(with_paths(f"publish[{index}]", each) for index, each in enumerate(config.publish))
    gateway = with_paths("gateway", config.gateway) if config.gateway is not None else None
    models = tuple(
        replace(model, path=absolute(f"model[{index}].path", model.path)) if model.path is not None else model
        for index, model in enumerate(config.model)
    )
    return replace(
        config,
        server=server,
        worker=replace(config.worker, remote=remote),
        journal=journal,
        clips=clips,
        source=tuple(sources),
        model=models,
        publish=publish,
        gateway=gateway,
    )
