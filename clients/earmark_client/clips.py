"""`earmark clips`: list, fetch and delete the clips that a daemon keeps of what it detected."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from urllib.parse import quote, urlencode

import msgspec

from earmark.columns import printable
from earmark.errors import EarmarkError
from earmark.protocol.endpoints import CLIPS
from earmark_client import calls
from earmark_client.address import Address
from earmark_client.arguments import add_daemon, daemon_of, token_of
from earmark_client.calls import Call
from earmark_client.request import ForPrograms
from earmark_client.run import run

FILTERS = ("sources", "classifiers", "labels", "from", "to")
PAGE = 1000
TIMEOUT = 60.0  # seconds; thousands of files may have to be deleted
EXAMPLES = """\
examples:
  earmark clips list                          the newest clips
  earmark clips list --labels dog_bark --from -1d
  earmark clips list --json | jq -r .id
  earmark clips get 9f2c61d0-311              into 9f2c61d0-311.flac
  earmark clips get 9f2c61d0-311 --out - | aplay
  earmark clips delete 9f2c61d0-311 9f2c61d0-312
  earmark clips delete --to -7d               those that are older than a week
  earmark clips delete --all
Nothing is kept unless `clips` of a classifier names labels. With tokens, one with the scope `clips` lists and gets, and
one with `admin` deletes.
"""


class ListedClip(msgspec.Struct, frozen=True):
    """A clip as the daemon lists it."""

    id: str
    time: str
    source: str
    classifier: str
    label: str
    seconds: float
    bytes: int
    score: float | None = None


class _Page(msgspec.Struct, frozen=True):
    clips: list[msgspec.Raw]
    next: str | None = None


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "clips",
        help="list, fetch and delete the clips that a daemon keeps",
        description="List, fetch and delete the clips that a daemon keeps of what it detected.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="list clips, newest first")
    _add_filters(listing)
    listing.add_argument("--limit", metavar="COUNT", type=int, default=100, help="at most so many (default 100)")
    listing.add_argument("--json", action="store_true", help="one JSON object per line")
    listing.set_defaults(run=run_list)
    getting = actions.add_parser("get", help="fetch a clip as FLAC")
    getting.add_argument("id", metavar="ID", help="the id of the clip, which is that of its label")
    getting.add_argument("--out", metavar="FILE", help="where to write it; - is standard output (default ID.flac)")
    getting.set_defaults(run=run_get)
    deleting = actions.add_parser("delete", help="delete clips")
    deleting.add_argument("ids", metavar="ID", nargs="*", help="the ids of clips")
    _add_filters(deleting)
    deleting.add_argument("--all", action="store_true", help="delete all clips")
    deleting.set_defaults(run=run_delete)
    for each in (listing, getting, deleting):
        add_daemon(each, positional=False)


def _add_filters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sources", metavar="NAMES", help="only of these sources, separated by commas")
    parser.add_argument("--classifiers", metavar="NAMES", help="only of these classifiers")
    parser.add_argument("--labels", metavar="NAMES", help="only of these labels")
    parser.add_argument("--from", metavar="TIME", help="not older: -90s, -15m, -2h, -7d, or 2026-11-22T07:31:05Z")
    parser.add_argument("--to", metavar="TIME", help="only older, written in the same ways")


def _filters(args: argparse.Namespace) -> dict[str, str]:
    given = {name: getattr(args, name) for name in FILTERS}
    return {name: value for name, value in given.items() if value is not None}


def run_list(args: argparse.Namespace) -> int:
    """Print the clips. Returns the exit code. Raises ServerError."""
    daemon, token = daemon_of(args), token_of(args)
    for raw in _listed(_filters(args), args.limit, daemon, token):
        if args.json:
            print(bytes(raw).decode(), file=ForPrograms())
            continue
        clip = msgspec.json.decode(raw, type=ListedClip)
        score = "    " if clip.score is None else f"{clip.score:.2f}"
        print(
            f"{_local(clip.time)}  {printable(clip.id):<20}  {clip.seconds:6.1f} s  {score}  "
            f"{printable(clip.source)}  {printable(clip.classifier)}  {printable(clip.label)}"
        )
    return 0


def run_get(args: argparse.Namespace) -> int:
    """Write a clip to a file. Returns the exit code. Raises ServerError, or EarmarkError for the file."""
    content = run(calls.ask(Call("GET", _path(args.id), timeout=TIMEOUT)), daemon_of(args), token_of(args)).body
    if args.out == "-":
        sys.stdout.buffer.write(content)
        return 0
    out = Path(args.out or f"{args.id}.flac")
    try:
        out.write_bytes(content)
    except OSError as error:
        raise EarmarkError(f"{out} cannot be written: {error.strerror}") from None
    print(out)
    return 0


def run_delete(args: argparse.Namespace) -> int:
    """Delete clips. Returns the exit code: 2 if it is not said which. Raises ServerError."""
    daemon, token, filters = daemon_of(args), token_of(args), _filters(args)
    if (bool(args.ids), bool(filters), args.all).count(True) != 1:
        print("earmark: name the ids of clips, or choose by --labels, --to and the like, or say --all", file=sys.stderr)
        return 2
    paths = [_path(identity) for identity in args.ids] or [f"{CLIPS}?{urlencode(filters)}" if filters else CLIPS]
    deleted = 0
    for path in paths:
        response = run(calls.ask(Call("DELETE", path, timeout=TIMEOUT)), daemon, token)
        deleted += calls.decoded(response, dict[str, int], path)["deleted"]
    print(f"{deleted} deleted")
    return 0


def _listed(filters: dict[str, str], limit: int, daemon: Address, token: str | None) -> Iterator[msgspec.Raw]:
    """Yield at most `limit` clips, page by page."""
    cursor: dict[str, str] = {}
    while limit > 0:
        path = f"{CLIPS}?{urlencode({**filters, **cursor, 'limit': min(limit, PAGE)})}"
        page = run(calls.get(path, _Page), daemon, token)
        yield from page.clips
        limit -= len(page.clips)
        if page.next is None:
            return
        cursor = {"cursor": page.next}


def _path(identity: str) -> str:
    return f"{CLIPS}/{quote(identity, safe='')}"


def _local(time: str) -> str:
    try:
        return datetime.fromisoformat(time).astimezone().isoformat(" ", "seconds")[:19]
    except ValueError:
        return printable(time)
