"""`earmark report`: a page about a time in the past, from what the daemon has kept."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from earmark.errors import EarmarkError, SubscriptionError
from earmark.protocol.events import ClassifierInfo, Hello, Label, Loss, Result, Source, SourceInfo
from earmark_client.arguments import add_daemon, daemon_of, names_of, token_of
from earmark_client.client import Client
from earmark_client.past import beginning, rfc3339
from earmark_client.report.page import Facts, page
from earmark_client.run import run as run_steps
from earmark_client.sessions.session import Session, seconds
from earmark_client.sessions.stretches import Hole

BEFORE = 500  # events before the time, from which is known what was on at its beginning
EXAMPLES = """\
examples:
  earmark report --from -1h                                  the last hour, in earmark-report.html
  earmark report --from -15m --classifiers emotion -o talk.html
  earmark report --from 2026-11-22T07:00 --to 2026-11-22T08:00 --sources desk
  earmark report --from -1d -o - | gzip > day.html.gz        to another program
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "report",
        help="make a page about what was heard: timeline, shares, transitions",
        description="Make a page in HTML about a time in the past, from the journal of a daemon: a timeline of each"
        " source, shares of the time, what followed what, and what is missing. The page needs nothing outside itself.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_daemon(parser, positional=True)
    parser.add_argument("--sources", metavar="NAMES", default="", help="only these sources, separated by commas")
    parser.add_argument("--classifiers", metavar="NAMES", default="", help="only these classifiers")
    parser.add_argument(
        "--from",
        dest="from_",
        metavar="TIME",
        default="-1h",
        help="the beginning: -90s, -15m, -2h, -7d, or 2026-11-22T07:31:05 (default -1h)",
    )
    parser.add_argument("--to", metavar="TIME", default="now", help="the end, written in the same ways (default now)")
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE.html",
        type=Path,
        default=Path("earmark-report.html"),
        help="the file (default earmark-report.html); - is standard output",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Make the page. Returns the exit code. Raises EarmarkError."""
    now = datetime.now(UTC)
    begin, end = (_time(rfc3339(args.from_, now, "from")), _time(rfc3339(args.to, now, "to")))
    end = min(end, now.timestamp())
    if begin >= end:
        raise SubscriptionError(f"from: {args.from_} is not before {args.to}")
    daemon = daemon_of(args)
    client = Client(args.address or args.url, token=token_of(args))
    session = Session(begin, names_of(args.sources, "--sources"), names_of(args.classifiers, "--classifiers"))
    _greet(session, client)
    oldest = _oldest(client, str(run_steps(beginning(), daemon, token_of(args))))
    if oldest is None or oldest > begin:
        for timeline in session.timelines.values():
            timeline.hole(Hole(begin, end if oldest is None else min(oldest, end), "not kept by the daemon"))
    _replay(session, client, args, begin, end)
    text = page(session, end, Facts(f"{daemon.host}{daemon.prefix}"))
    if str(args.output) == "-":
        print(text, end="")
        return 0
    try:
        args.output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise EarmarkError(f"{args.output}: {error.strerror}") from None
    print(f"the report is in {args.output}", file=sys.stderr)
    return 0


def _time(text: str) -> float:
    return seconds(text) or 0.0


def _greet(session: Session, client: Client) -> None:
    """Tell the session what is configured now. What was at the time is not known."""
    found = client.classifiers()
    infos = tuple(
        ClassifierInfo(each.name, each.model, each.labels, each.sources, each.gate, each.mode, each.window, each.hop)
        for each in found
    )
    sources = tuple(SourceInfo(each.name, "listening", each.device) for each in client.sources())
    session.take(Hello("", "", 0, 0, sources, infos), session.begin)
    session.thresholds = {each.name: dict(each.thresholds) for each in found}


def _oldest(client: Client, since: str) -> float | None:
    """Return the time of the oldest event that the daemon has kept."""
    return next((seconds(event.time) for event in client.history(since=since, limit=1) if hasattr(event, "time")), None)


def _replay(session: Session, client: Client, args: argparse.Namespace, begin: float, end: float) -> None:
    """Give the session what tells the states at the beginning, and then the events of the time, oldest first."""
    filters = {name: names for name in ("sources", "classifiers") if (names := getattr(args, name))}
    start, stop = datetime.fromtimestamp(begin, UTC), datetime.fromtimestamp(end, UTC)
    for event in reversed(list(client.history(types="label,source", to=start, limit=BEFORE, **filters))):
        session.take(event, begin)
    for timeline in session.timelines.values():
        timeline.peaks.clear()
    for event in reversed(list(client.history(types="label,source,loss", from_=start, to=stop, **filters))):
        if isinstance(event, Source) and event.device:  # if the daemon had been killed: when did it last say anything?
            session.heard = max(session.heard, _last(client, event.time) or begin)
        session.take(event, end)


def _last(client: Client, before: str) -> float | None:
    """Return the time of the newest event before another."""
    newest = next(client.history(types="result,label,source,loss", to=before, limit=1), None)
    return seconds(newest.time) if isinstance(newest, Result | Label | Source | Loss) else None
