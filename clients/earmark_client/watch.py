"""`earmark watch`: print the stream for people, or as JSON for other programs."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TextIO

import msgspec

from earmark.errors import EarmarkError, ServerError
from earmark.protocol.endpoints import DEFAULT_ADDRESS
from earmark.protocol.events import Hello, decode
from earmark.protocol.text import header, line
from earmark_client.address import Filter, address
from earmark_client.stream import messages_sync

DEFAULT_TYPES = "label,source,loss"
FILTERS = ("sources", "classifiers", "types", "labels", "min_score", "top_k", "every", "shape", "policy")
EXAMPLES = """\
examples:
  earmark watch                                    labels, sources and losses of the daemon on this machine
  earmark watch --labels stop,go --min-score 0.8   only these commands, only when sure
  earmark watch --labels '"Speech, sung",Dog'      a name with a comma stands between double quotes
  earmark watch --types result --every 1           what the models say, not more than once a second
  earmark watch --json | jq .label                 the messages as they come, for other programs
  earmark watch 192.168.1.20:8765                  another machine's daemon
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
    parser.add_argument(
        "url", metavar="URL", nargs="?", default=DEFAULT_ADDRESS, help=f"HOST:PORT (default {DEFAULT_ADDRESS})"
    )
    parser.add_argument("--sources", metavar="NAMES", help="only these sources, separated by commas")
    parser.add_argument("--classifiers", metavar="NAMES", help="only these classifiers")
    parser.add_argument(
        "--types", metavar="TYPES", help=f"of result, label, source, loss, suppressed (default {DEFAULT_TYPES})"
    )
    parser.add_argument("--labels", metavar="NAMES", help="only these labels")
    parser.add_argument("--min-score", metavar="SCORE", help="only what scores at least this")
    parser.add_argument("--top-k", metavar="COUNT", help="so many labels in a result")
    parser.add_argument("--every", metavar="SECONDS", help="at most one result per source and classifier in this time")
    parser.add_argument("--policy", metavar="POLICY", help="when this reader is too slow: oldest, latest or close")
    parser.add_argument("--shape", metavar="SHAPE", help="event, or api: bare arrays as the HTTP API answers them")
    parser.add_argument("--json", action="store_true", help="print the messages unchanged, one a line")
    parser.add_argument("--no-reconnect", action="store_true", help="end when the connection cannot be had or is lost")
    parser.add_argument("--quiet", action="store_true", help="say nothing about the connection on stderr")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print events until the stream ends or Ctrl-C comes. Raises EarmarkError."""
    filters: dict[str, Filter | None] = {name: getattr(args, name) for name in FILTERS}
    raw = args.json or args.shape == "api"
    if args.types is None and args.shape != "api":
        filters["types"] = DEFAULT_TYPES
    daemon = address(args.url)
    colour = has_colour(sys.stdout)
    notices = _Notices(quiet=args.quiet)
    if sys.stdout.isatty() and not raw:
        print(header(colour), flush=True)
    for text in messages_sync(daemon, filters, reconnect=not args.no_reconnect, on_failure=notices.failed):
        notices.connected()
        if raw:
            print(text, flush=True)
        else:
            _show(text, colour, args.quiet)
    return 0


def has_colour(stream: TextIO) -> bool:
    """Return whether the stream is a terminal whose user has not refused colours (no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _show(text: str, colour: bool, quiet: bool) -> None:
    try:
        event = decode(text)
    except msgspec.ValidationError:  # a message of a newer daemon
        return
    except msgspec.DecodeError:
        raise ServerError("what answers there is no Earmark daemon: its messages are not JSON") from None
    is_hello = isinstance(event, Hello)
    shown = line(event, has_colour(sys.stderr) if is_hello else colour)
    if shown is not None and not (is_hello and quiet):
        print(shown, file=sys.stderr if is_hello else sys.stdout, flush=True)


class _Notices:
    """Prints why there is no connection, once for each new reason and not at every try."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._last = ""

    def failed(self, error: EarmarkError) -> None:
        if str(error) != self._last and not self._quiet:
            print(f"earmark: {error} (trying again)", file=sys.stderr, flush=True)
        self._last = str(error)

    def connected(self) -> None:
        self._last = ""
