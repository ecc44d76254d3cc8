"""`earmark monitor`: follow a daemon live in a terminal, record what it says, and make a report of it."""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import signal
import sys
from contextlib import ExitStack
from pathlib import Path

from earmark.columns import printable
from earmark.errors import EarmarkError
from earmark_client.arguments import add_daemon, daemon_of, names_of, token_of
from earmark_client.client import AsyncClient
from earmark_client.monitor.live import Face, Lines, Monitor, Screen
from earmark_client.monitor.recording import Recording, begin_row
from earmark_client.sessions.session import Session
from earmark_client.sessions.stretches import shares
from earmark_client.sessions.words import lasted, percent

EXAMPLES = """\
examples:
  earmark monitor                                   everything that the daemon on this machine hears
  earmark monitor --classifiers emotion             only the emotions
  earmark monitor --record talk.csv                 keep every label and mark, and the scores once a second
  earmark monitor --report talk.html                write a page about the session at its end
  earmark monitor --lines                           one line per change instead of a screen, as in a pipe
  earmark monitor 192.168.1.20:8765                 another machine's daemon
keys: space pauses the display, m marks a moment, ? helps, q quits
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "monitor",
        help="watch labels live: bars, a timeline, shares of time",
        description="Watch live what a daemon hears: the current label of each source, the scores against their"
        " thresholds, the last minutes, and each label's share of the time. In a pipe, one line per change."
        " A label is what the sound resembles most, not what somebody feels.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_daemon(parser, positional=True)
    parser.add_argument("--sources", metavar="NAMES", default="", help="only these sources, separated by commas")
    parser.add_argument("--classifiers", metavar="NAMES", default="", help="only these classifiers")
    parser.add_argument(
        "--record", metavar="FILE", type=Path, help="write what happens to a .csv or .jsonl file; an old one goes on"
    )
    parser.add_argument(
        "--every",
        metavar="SECONDS",
        type=float,
        default=1.0,
        help="record the scores of a source and classifier at most once in this time (default 1)",
    )
    parser.add_argument("--report", metavar="FILE.html", type=Path, help="write a page about the session at its end")
    parser.add_argument("--lines", action="store_true", help="print one line per change instead of a screen")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run until q or Ctrl-C. Returns the exit code. Raises EarmarkError."""
    daemon = daemon_of(args)
    if args.report is not None and not args.report.absolute().parent.is_dir():
        raise EarmarkError(f"--report {args.report}: there is no such folder")
    lines = args.lines or not sys.stdout.isatty() or (os.environ.get("TERM") or "dumb") == "dumb"
    with ExitStack() as stack:
        recording = None if args.record is None else stack.enter_context(Recording(args.record))
        face: Face = Lines(scores=recording is not None or args.report is not None) if lines else _screen(stack)
        sources, classifiers = names_of(args.sources, "--sources"), names_of(args.classifiers, "--classifiers")
        client = AsyncClient(args.address or args.url, token=token_of(args))
        monitor = Monitor(client, f"{daemon.host}{daemon.prefix}", face, recording, args.every, sources, classifiers)
        if recording is not None:
            recording.add(begin_row(monitor.now, monitor.daemon))
        code = asyncio.run(_watch(monitor, face))
    _summary(monitor.session, monitor.now)
    if recording is not None and recording.failure:
        print(f"earmark: {recording.failure}", file=sys.stderr)
    if args.report is not None:
        from earmark_client.report.page import Facts, page

        _write(args.report, page(monitor.session, monitor.now, Facts(monitor.daemon)))
        print(f"the report is in {args.report}")
    return code


async def _watch(monitor: Monitor, face: Face) -> int:
    if not isinstance(face, Screen):
        return await monitor.watch()
    loop, terminal = asyncio.get_running_loop(), face.terminal
    if terminal.keys is not None:
        loop.add_reader(terminal.keys, lambda: monitor.press(terminal.read()))
    loop.add_signal_handler(signal.SIGTSTP, terminal.suspend)
    try:
        return await monitor.watch()
    finally:
        loop.remove_signal_handler(signal.SIGTSTP)
        if terminal.keys is not None:
            loop.remove_reader(terminal.keys)


def _screen(stack: ExitStack) -> Screen:
    """Take the terminal. Raises EarmarkError if rich is missing."""
    try:
        from rich.console import Console

        from earmark_client.monitor.terminal import Terminal
    except ImportError:
        raise EarmarkError(
            "the screen of the monitor needs rich: pip install 'earmark[monitor]'; --lines does without"
        ) from None
    output = sys.stdout
    if isinstance(output, io.TextIOWrapper):
        output.reconfigure(errors="replace")
    console = Console(file=output, highlight=False, legacy_windows=False)
    utf8 = (output.encoding or "").lower().replace("-", "") == "utf8"
    return Screen(stack.enter_context(Terminal(console)), ascii_only=not utf8)


def _summary(session: Session, now: float) -> None:
    """Print how the session went, for the scrollback."""
    for timeline in session.timelines.values():
        spent = shares(timeline.stretches(now))
        best = sorted(spent.labels.items(), key=lambda item: -item[1])
        told = [f"{label} {percent(spent.of(label))} ({lasted(time)})" for label, time in best] or ["no label"]
        heard = f"{timeline.source} {timeline.classifier}: listened {lasted(spent.listened)}"
        unheard = f", not {lasted(spent.unheard)}" if spent.unheard >= 0.05 else ""
        print(printable(f"{heard}{unheard}; {', '.join(told)}"))


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise EarmarkError(f"{path}: {error.strerror}") from None
