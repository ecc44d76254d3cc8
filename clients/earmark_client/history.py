"""`earmark history`: print what a daemon heard before, for people or for other programs."""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime

import msgspec

from earmark.protocol.events import Numbered
from earmark.protocol.text import header, line
from earmark_client.address import Address, Filter
from earmark_client.arguments import add_daemon, add_filters, daemon_of, token_of
from earmark_client.calls import Content, Steps
from earmark_client.past import Pages, Question, Table, beginning
from earmark_client.request import ForPrograms
from earmark_client.run import run
from earmark_client.watchers import has_colour

LIMIT = 100  # events, where nothing says how many
TYPES = "label,source,loss,config"
FILTERS = ("sources", "classifiers", "types", "labels", "min_score", "top_k")
EXAMPLES = """\
examples:
  earmark history                                     the newest labels, changes of sources and losses
  earmark history --labels stop,go --limit 20         the newest 20 of these commands
  earmark history --from -1h                          all of the last hour
  earmark history --from 2026-11-22T07:00 --to 2026-11-22T08:00 --classifiers emotion
  earmark history --since 9f2c61d0:1042               all after an event, whose number is in its JSON
  earmark history --types label --labels yes --from -10m --format csv > yes.csv
                                                      each "yes" of the last ten minutes, a row each
  earmark history --types result --from -1d --format csv > day.csv
                                                      a table with a column for each label
  earmark history --labels dog_bark --format ndjson | jq .start_time
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "history",
        help="show what a daemon heard before",
        description="Show what a daemon heard before, oldest first, one line per event, in local time.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_daemon(parser, positional=True)
    add_filters(
        parser,
        f"of result, label, source, loss, config, suppressed (default {TYPES}; with --format csv result)",
    )
    parser.add_argument(
        "--from", dest="from_", metavar="TIME", help="not what is older: -90s, -15m, -2h, -7d, or 2026-11-22T07:31:05"
    )
    parser.add_argument("--to", metavar="TIME", help="only what is older, written in the same ways")
    parser.add_argument("--since", metavar="EPOCH:SEQ", help="only what came after this event")
    parser.add_argument(
        "--limit",
        metavar="COUNT",
        type=int,
        help="the newest so many, or with --since the first (default:"
        f" {LIMIT}, or all if --from or --since says where to begin)",
    )
    parser.add_argument(
        "--format", choices=("text", "ndjson", "csv"), default="text", help="for people (default) or for programs"
    )
    parser.set_defaults(run=run_command)


def run_command(args: argparse.Namespace) -> int:
    """Print the events. Returns the exit code. Raises ServerError."""
    daemon, token = daemon_of(args), token_of(args)
    filters: dict[str, Filter | None] = {name: getattr(args, name) for name in FILTERS}
    if args.types is None:
        filters["types"] = "result" if args.format == "csv" else TYPES
    limit = LIMIT if args.limit is None and args.from_ is None and args.since is None else args.limit
    since = args.since
    if since is None and limit is None:
        since = run(beginning(), daemon, token)  # all of it can be printed as it comes
    pages = Pages(Question(filters, args.from_, args.to, since, limit), datetime.now(UTC))
    in_order = since is not None
    if args.format == "csv":
        _print_table(_each(pages.next_table, daemon, token), in_order)
    else:
        _print_events(_each(pages.next_raw, daemon, token), in_order, pages, args.format)
    return 0


def _each(step: Callable[[], Steps[Content | None]], daemon: Address, token: str | None) -> Iterator[Content]:
    while (page := run(step(), daemon, token)) is not None:
        yield page


def _print_events(found: Iterable[list[msgspec.Raw]], in_order: bool, pages: Pages, form: str) -> None:
    events: Iterable[msgspec.Raw] = (raw for page in found for raw in page)
    colour = form == "text" and has_colour(sys.stdout)
    if form == "text" and sys.stdout.isatty():
        print(header(colour))
    day: date | None = date.today()
    for raw in events if in_order else reversed(list(events)):
        if form == "ndjson":
            print(bytes(raw).decode(), file=ForPrograms())
        elif (event := pages.event(raw)) is not None and (shown := line(event, colour)) is not None:
            if isinstance(event, Numbered) and (new := local_day(event.time)) != day:
                day = new
                print(f"{day}:")
            print(shown)


def local_day(time: str) -> date | None:
    """Return the day of an event's time (RFC 3339) here, or None if it has none."""
    try:
        return datetime.fromisoformat(time).astimezone().date()
    except (ValueError, OverflowError):
        return None


def _print_table(found: Iterable[Table], in_order: bool) -> None:
    """Print one table. A daemon whose labels changed meanwhile has other columns: its table begins anew."""
    writer = csv.writer(ForPrograms(), lineterminator="\n")
    names: list[str] = []
    for table in found if in_order else reversed([Table(each.names, each.rows[::-1]) for each in found]):
        if table.names != names:
            names = table.names
            writer.writerow(names)
        writer.writerows(table.rows)
