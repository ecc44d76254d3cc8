"""`earmark watch`: print the stream for people or for other programs, or run a program for each event."""

from __future__ import annotations

import argparse
from contextlib import closing

from earmark.errors import EarmarkError, ServerError, SubscriptionError
from earmark.protocol.events import Gap
from earmark.protocol.names import split
from earmark_client.address import Filter
from earmark_client.arguments import add_daemon, add_filters, daemon_of, token_of
from earmark_client.following.connection import jittered, messages_sync
from earmark_client.following.follow import Follower
from earmark_client.following.position import PositionFile
from earmark_client.request import complain
from earmark_client.watchers import Lines, Program, Raw, Table, Watcher

DEFAULT_TYPES = "label,source,loss"
FILTERS = ("sources", "classifiers", "types", "labels", "min_score", "top_k", "every", "shape", "policy")
EXAMPLES = """\
examples:
  earmark watch                                    labels, sources and losses of the daemon on this machine
  earmark watch --labels stop,go --min-score 0.8   only these commands, only when sure
  earmark watch --labels '"Speech, sung",Dog'      a name with a comma stands between double quotes
  earmark watch --types result --every 1           what the models say, not more than once a second
  earmark watch --types level                      how loud it is, and how near each gate is to opening
  earmark watch --json | jq .label                 the messages as they come, for other programs
  earmark watch --classifiers emotion --csv        a table of the scores
  earmark watch --labels stop --exec ./stop.sh     run a program
  earmark watch --csv --position seen >> all.csv   go on where it ended, when it is started again
  earmark watch 192.168.1.20:8765                  another machine's daemon
  earmark watch https://192.168.1.20:8765 --ca own.pem   the same with TLS and a certificate of its own
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "watch",
        help="show what a daemon hears",
        description="Show what a daemon hears, one line per event, in local time.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_daemon(parser, positional=True)
    add_filters(
        parser,
        f"of result, label, source, loss, suppressed, level, tick (default {DEFAULT_TYPES})",
    )
    parser.add_argument("--every", metavar="SECONDS", help="at most one result per source and classifier in this time")
    parser.add_argument("--policy", metavar="POLICY", help="when this reader is too slow: oldest, latest or close")
    parser.add_argument("--shape", metavar="SHAPE", help="event, or api: bare arrays as the HTTP API answers them")
    parser.add_argument("--json", action="store_true", help="print the messages unchanged, one a line")
    parser.add_argument("--csv", action="store_true", help="print results as a table, with a column for each label")
    parser.add_argument(
        "--exec",
        metavar="PROGRAM ...",
        nargs=argparse.REMAINDER,
        help="run this program with these arguments for each label that begins or ends (or for what --types names), one"
        " after the other; EARMARK_LABEL, EARMARK_STATE (on, off, unknown), EARMARK_SCORE and so on are in its"
        " environment, and the event as JSON on its standard input. The last option",
    )
    parser.add_argument(
        "--position", metavar="FILE", help="remember there what was seen, and begin behind it when started again"
    )
    parser.add_argument("--no-reconnect", action="store_true", help="end when the connection cannot be had or is lost")
    parser.add_argument("--quiet", action="store_true", help="say nothing about the connection on stderr")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print events until the stream ends or Ctrl-C comes. Raises EarmarkError."""
    filters: dict[str, Filter | None] = {name: getattr(args, name) for name in FILTERS}
    watcher, types = _watcher(args)
    if args.shape != "api":
        filters["types"] = types
    notices = _Notices(quiet=args.quiet)
    file = PositionFile(args.position) if args.position and args.shape != "api" else None
    follower = Follower(
        filters, since=None if file is None else file.read(), reconnect=not args.no_reconnect, jitter=jittered
    )
    given = messages_sync(daemon_of(args), follower, file=file, token=token_of(args), on_failure=notices.failed)
    try:
        with closing(given) as messages:
            for message in messages:
                notices.connected()
                if isinstance(message.event, Gap) and message.event.cause != "slow":
                    watcher.lost()
                watcher.take(message)
    except ServerError:
        watcher.lost()
        raise
    watcher.lost()
    return 0


def with_ticks(types: str) -> str:
    """Return the types of events to ask the daemon for, so that the last one of many losses is told soon."""
    return f"{types},tick" if "loss" in types and "tick" not in types else types


def _watcher(args: argparse.Namespace) -> tuple[Watcher, str]:
    """Return what takes the messages, and the types of events that it wants. Raises SubscriptionError."""
    api = args.shape == "api"
    if sum((args.json, args.csv, args.exec is not None)) > 1 or (api and (args.csv or args.exec is not None)):
        raise SubscriptionError("--json, --csv, --exec and --shape api exclude each other")
    if args.csv:
        if args.types not in (None, "result"):
            raise SubscriptionError("--csv prints results, so --types can only be result")
        return Table(split(args.classifiers or ""), quiet=args.quiet), args.types or "result"
    if args.exec is not None:
        return Program(args.exec, quiet=args.quiet), "label" if args.types is None else args.types
    types = DEFAULT_TYPES if args.types is None else args.types
    if args.json or api:
        return Raw(), types
    return Lines(quiet=args.quiet, ticks="tick" in types), with_ticks(types)


class _Notices:
    """Prints why there is no connection, once for each new reason and not at every try."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._last = ""

    def failed(self, error: EarmarkError) -> None:
        if str(error) != self._last and not self._quiet:
            complain(f"{error} (trying again)")
        self._last = str(error)

    def connected(self) -> None:
        self._last = ""
