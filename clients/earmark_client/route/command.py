"""`earmark route`: run programs, post webhooks, publish to MQTT and notify for what a daemon hears."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys
from pathlib import Path

from earmark.config.state import state_folder
from earmark.errors import ConfigError, EarmarkError
from earmark.protocol.events import Hello
from earmark_client.address import Address, address
from earmark_client.arguments import add_daemon, token_of
from earmark_client.following.stream import events_sync
from earmark_client.route import check
from earmark_client.route.report import Report
from earmark_client.route.serve import count, dry_run, place, serve, utc
from earmark_client.route.state import State, state_path
from earmark_client.routing.file import load
from earmark_client.routing.settings import Routes
from earmark_client.watchers import has_colour

EXAMPLES = """\
examples:
  earmark route routes.toml              act on what the daemon hears, until Ctrl-C
  earmark route routes.toml --check      look whether all that the routes name is there
  earmark route routes.toml --dry-run    print what would run, and why something would not
  earmark route routes.toml --log route.jsonl --url 192.168.1.20:8765
SIGHUP reads the routes file again. config/examples/routes.toml is one to begin with; docs/route.md explains it.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "route",
        help="run programs, webhooks, MQTT messages and notifications for labels",
        description="Act on the labels that a daemon hears, as a routes file says: each event once and in order, also"
        " where the connection is lost, or the daemon or this program is started again.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("routes", metavar="ROUTES.toml", type=Path, help="the routes file")
    add_daemon(parser, positional=False)
    parser.add_argument(
        "--check", action="store_true", help="check the routes and end; the exit code is 2 after an error"
    )
    parser.add_argument("--dry-run", action="store_true", help="print what would run, and run nothing")
    parser.add_argument(
        "--log", metavar="FILE", type=Path, help="append a line of JSON for each action, or why none ran"
    )
    parser.add_argument(
        "--state",
        metavar="FILE",
        type=Path,
        help="where to remember what was done (default: one for each routes file, in $XDG_STATE_HOME/earmark)",
    )
    parser.add_argument("--quiet", action="store_true", help="print only what is wrong")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Route until SIGTERM or Ctrl-C, or check. Raises EarmarkError."""
    routes = load(args.routes)
    daemon = address(args.url or routes.daemon.url or None)
    if args.check:
        return _check(args.routes, routes, daemon, args.token)
    token = _token(args, routes)
    path: Path = args.state or state_path(args.routes, state_folder(os.environ))
    with contextlib.ExitStack() as stack:
        report = stack.enter_context(Report(args.log, utc, quiet=args.quiet, colour=has_colour(sys.stdout)))
        if args.dry_run:
            asyncio.run(dry_run(args.routes, daemon, token, report))
        else:
            state = stack.enter_context(State(path, report.warned))
            asyncio.run(serve(args.routes, daemon, token, state, report))
    return 0


def _token(args: argparse.Namespace, routes: Routes) -> str | None:
    """Return the token: of the arguments, the file, or the environment."""
    if args.token is None and routes.daemon.token_file:
        secrets, wrong = check.read_secrets(Routes(daemon=routes.daemon))
        if wrong:
            raise ConfigError("\n".join(place(args.routes, wrong)))
        return secrets[routes.daemon.token_file]
    return token_of(args)


def _check(path: Path, routes: Routes, daemon: Address, token: str | None) -> int:
    secrets, errors = check.read_secrets(routes)
    errors += check.absent(routes)
    warnings = list(check.doubtful(routes))
    try:
        token = token or secrets.get(routes.daemon.token_file) or os.environ.get("EARMARK_TOKEN")
        errors += check.strangers(routes, _hello(daemon, token))
    except EarmarkError as error:
        warnings.append(f"{error}; labels and sources are not checked")
    for sentence in place(path, errors):
        print(f"error: {sentence}")
    for sentence in place(path, warnings):
        print(f"warning: {sentence}")
    if not errors:
        print(f"{path}: {count(routes)}, no errors")
    return 2 if errors else 0


def _hello(daemon: Address, token: str | None) -> Hello:
    """Return the greeting of the daemon. Raises EarmarkError if it cannot be had."""
    url = f"{'wss' if daemon.secure else 'ws'}://{daemon.host}{daemon.prefix}"
    with events_sync(url, types=["hello"], reconnect=False, token=token) as events:
        for event in events:
            if isinstance(event, Hello):
                return event
    raise EarmarkError(f"{daemon.host} does not greet")
