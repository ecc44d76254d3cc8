"""The command `earmarkd`."""

from __future__ import annotations

import argparse
import itertools
import re
import sys
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import msgspec

from earmark import __version__
from earmark.config import presets
from earmark.config import settings as config
from earmark.errors import ConfigError, EarmarkError

EXAMPLES = """\
examples:
  earmarkd                                    voice commands from the default microphone
  earmarkd --demo                             a bundled recording of words, emotional sentences and sounds,
                                              heard by the three embedded models, in a loop
  earmarkd --demo --fast --once               the same as fast as the models can, once
  earmarkd --config config/earmark.toml       your own sources, models and thresholds
  earmarkd --check --config earmark.toml      say whether the configuration would run, and stop
  earmarkd --file talk.flac --fast --once --events -
                                              what is said in a recording, as JSON lines
  earmarkd --listen 127.0.0.1:0               on a free port, which is printed

Subscribe with `earmark watch`, or with any WebSocket client at ws://127.0.0.1:8765/v1/events.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the daemon; the exit code: 0, or 2 for a wrong configuration, or 1 for any other trouble."""
    options = _parser().parse_args(arguments)
    from earmark import log

    log.set_up(verbose=options.verbose)
    try:
        _run(_settings(options), options)
    except EarmarkError as error:
        print(f"earmarkd: {error}", file=sys.stderr)
        return error.exit_code
    except ModuleNotFoundError as error:
        print(f"earmarkd: {error.name} is not installed: pip install 'earmark[daemon]'", file=sys.stderr)
        return 1
    return 0


def _run(settings: config.Config, options: argparse.Namespace) -> None:
    from earmark.app import service

    if options.check:
        for found in service.verify(settings):
            print(found)
        return
    service.run(settings, service.Options(once=options.once, events=options.events, quiet=options.quiet))


def _settings(options: argparse.Namespace) -> config.Config:
    """The configuration file, with what the command line says on top."""
    settings = config.Config()
    if options.config is not None:
        from earmark.app.service import load

        settings = load(options.config)
    elif options.demo:
        settings = config.Config(classifier=presets.ALL)
    if options.demo and options.file:
        raise ConfigError("--demo and --file both say what to listen to; choose one")
    if options.fast and not options.file and not (options.demo and options.once):
        raise ConfigError(
            "--fast goes with --file, or with --demo --once: only a recording can be read faster than it sounds"
        )
    sources: tuple[config.Source, ...] = ()
    if options.demo:
        path = str(files("earmark") / "demo" / "demo.flac")
        sources = (config.File(name="demo", path=path, fast=options.fast, loop=not options.once),)
    for path in options.file or ():
        sources += (config.File(name=_name(path, sources), path=path, fast=options.fast),)
    if sources:
        heard_by_all = tuple(msgspec.structs.replace(item, sources=()) for item in settings.classifier)
        settings = msgspec.structs.replace(settings, source=sources, classifier=heard_by_all)
    if options.listen is not None:
        server = msgspec.structs.replace(settings.server, listen=options.listen)
        settings = msgspec.structs.replace(settings, server=server)
    return settings


def _name(path: str, taken: Sequence[config.Source]) -> str:
    """A source's name from a file's: no two alike."""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", Path(path).stem).strip("-")[:48] or "file"
    names = {source.name for source in taken}
    free = (f"{stem}-{number}" for number in itertools.count(2))
    return stem if stem not in names else next(name for name in free if name not in names)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="earmarkd",
        description="Listen, classify what is heard, and publish labels with scores to subscribers over a WebSocket.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--config", type=Path, metavar="FILE", help="settings in TOML; without it, commands on the default microphone")
    add("--check", action="store_true", help="check the configuration, its models and its files, and stop")
    add("--listen", metavar="HOST:PORT", help="where to serve (default 127.0.0.1:8765; port 0 takes a free one)")
    add("--file", action="append", metavar="PATH", help="listen to this recording instead of the configured sources")
    add("--fast", action="store_true", help="with --file, or --demo --once: as fast as the model can, losing nothing")
    add("--once", action="store_true", help="end when every source has ended and every window is answered")
    add("--demo", action="store_true", help="the bundled recording in a loop, with all embedded models unless --config")
    add("--events", metavar="PATH", help="also write every event as a JSON line there; - is standard output")
    add("--quiet", action="store_true", help="print no lines about what is heard")
    add("--verbose", action="store_true", help="log more")
    add("--version", action="version", version=f"earmarkd {__version__}")
    return parser


if __name__ == "__main__":
    sys.exit(main())
