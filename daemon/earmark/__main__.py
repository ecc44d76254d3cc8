"""The command `earmarkd`."""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from earmark import __version__, log
from earmark.columns import printable
from earmark.config import shipped
from earmark.config.resolve import CommandLine, Reader
from earmark.config.settings import Config
from earmark.errors import ConfigError, EarmarkError
from earmark.supervision.hang_up import HangUps

logger = logging.getLogger("earmark.command")

EXAMPLES = """\
examples:
  earmarkd                                    voice commands from the default microphone
  earmarkd --demo                             a bundled recording of words, emotional sentences and sounds,
                                              heard by the three embedded models, in a loop
  earmarkd --demo --fast --once               the same as fast as the models can, once
  earmarkd --print-config > earmark.toml      every setting with its default, to begin with
  earmarkd --example emotion-embedded         one of the examples; without a name, the list of them
  earmarkd --config earmark.toml              your own sources, models and thresholds
  earmarkd --check --config earmark.toml      say whether the configuration would run, and stop
  earmarkd --file talk.flac --fast --once --events -
                                              what is said in a recording, as JSON lines
  earmarkd --gateway --config gateway.toml    serve the events that other daemons publish to NATS
  earmarkd --listen 127.0.0.1:0               on a free port, which is printed
  earmarkd --quiet --log json                 for a program that collects logs: one JSON object a line

Subscribe with `earmark watch`, or with any WebSocket client at ws://127.0.0.1:8765/v1/events.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the daemon. Returns the exit code: 0, 2 if the configuration is wrong, or 1 after any other error."""
    known = parser()
    options, rest = known.parse_known_args(arguments)
    if rest:
        option = "--config" if rest[0].endswith(".toml") else "--file"
        meant = "" if rest[0].startswith("-") else f"; did you mean {option} {rest[0]}?"
        known.error(f"unrecognized arguments: {' '.join(rest)}{meant}")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what its encoding lacks is escaped: a name must not end the daemon
            stream.reconfigure(errors="backslashreplace")
    log.set_up(verbose=options.verbose, form=options.log)
    files = tuple(options.file or ())
    if options.print_config or options.example is not None:
        return _print(options.example)
    hang_ups = None if options.check else HangUps()
    command_line = CommandLine(options.demo, files, fast=options.fast, once=options.once, listen=options.listen)
    try:
        return _run(Reader(options.config, command_line), options, hang_ups)
    except EarmarkError as error:
        _tell(str(error))
        return error.exit_code
    except ModuleNotFoundError as error:
        _tell(f"{error.name} is not installed: pip install 'earmark[daemon]'")
        return 1


def _print(example: str | None) -> int:
    """Print an example, the list of examples if the name is empty, or the default configuration. Returns the code."""
    try:
        match example:
            case None:
                print(shipped.defaults(), end="")
            case "":
                print(*shipped.list_examples(), sep="\n")
                print("earmarkd --example NAME > earmark.toml", file=sys.stderr)
            case name:
                print(shipped.example(name), end="")
    except ConfigError as error:
        _tell(str(error))
        return error.exit_code
    return 0


def _run(read: Callable[[], Config], options: argparse.Namespace, hang_ups: HangUps | None) -> int:
    """Check the settings or serve. Imports late: --help and wrong settings need none of the daemon's packages."""
    settings = read()
    if options.gateway:
        return _run_gateway(settings, options, read, hang_ups)
    if options.check:
        from earmark.app.check import verify

        report = verify(settings)
        for line in report.lines:
            print(printable(line), flush=True)
        _tell(*(f"warning: {warning}" for warning in report.warnings), level=logging.WARNING)
        _tell(*map(str, report.errors))
        return report.exit_code
    from earmark.launching.early import early
    from earmark.placement.forecast import engines

    # Both processes import for half a second or more. So they do it beside each other
    with early(settings.worker, engines(settings)) or contextlib.nullcontext() as begun:
        from earmark.app.events import Options
        from earmark.app.service import run

        lines_tell_them = not options.quiet and options.events != "-" and options.log == "text"
        chosen = Options(once=options.once, events=options.events, quiet=options.quiet, log_sources=not lines_tell_them)
        log.take_uncaught()
        run(settings, chosen, read=read, hang_ups=hang_ups, early=begun)
    return 0


def _run_gateway(
    settings: Config, options: argparse.Namespace, read: Callable[[], Config], hang_ups: HangUps | None
) -> int:
    """Check the settings of a gateway or serve."""
    if options.demo or options.file or options.once or options.events:
        raise ConfigError("--gateway listens to nothing, so it goes without --demo, --file, --once and --events")
    from earmark.gateway.service import check, run

    if options.check:
        print(printable(check(settings)), flush=True)
        return 0
    log.take_uncaught()
    run(settings, read=read, hang_ups=hang_ups)
    return 0


def _tell(*sentences: str, level: int = logging.ERROR) -> None:
    """Log each line of the sentences."""
    for line in "\n".join(sentences).splitlines():
        logger.log(level, "%s", line, extra=log.OWN)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="earmarkd",
        description="Listen, classify what is heard, and publish labels with scores to subscribers over a WebSocket.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--config", type=Path, metavar="FILE", help="settings in TOML; without it, commands on the default microphone")
    add(
        "--check",
        action="store_true",
        help="say what of the configuration is wrong or has no effect, and stop",
    )
    add(
        "--print-config", action="store_true", help="print a configuration with every setting and its default, and stop"
    )
    add("--example", nargs="?", const="", metavar="NAME", help="print an example; without NAME, list them; and stop")
    add("--listen", metavar="HOST:PORT", help="where to serve (default 127.0.0.1:8765; port 0 takes a free one)")
    add("--file", action="append", metavar="PATH", help="listen to this recording instead of the configured sources")
    add("--fast", action="store_true", help="with --file, or --demo --once: as fast as the model can, losing nothing")
    add("--once", action="store_true", help="end when every source has ended and every window is answered")
    add("--demo", action="store_true", help="the bundled recording in a loop, with all embedded models unless --config")
    add(
        "--gateway",
        action="store_true",
        help="serve the events of a NATS stream instead of listening (docs/scaling.md)",
    )
    add("--events", metavar="PATH", help="also write every event as a JSON line there; - is standard output")
    add("--quiet", action="store_true", help="print no lines about what is heard")
    add("--log", choices=("text", "json"), default="text", help="the log for people, or one JSON object a line")
    add("--verbose", action="store_true", help="log more")
    add("--version", action="version", version=f"earmarkd {__version__}")
    return parser


if __name__ == "__main__":
    sys.exit(main())
