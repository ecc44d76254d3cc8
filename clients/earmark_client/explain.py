"""`earmark explain`: why a label went on, or why none did, and what nearly stopped it."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from http import HTTPStatus
from urllib.parse import urlencode

import msgspec

from earmark.errors import SubscriptionError
from earmark.protocol.endpoints import EVENTS
from earmark.protocol.events import Config, Event, Label, Result, decode
from earmark.protocol.names import join
from earmark_client import calls
from earmark_client.answers import ClassifierStatus
from earmark_client.arguments import add_daemon, daemon_of, token_of
from earmark_client.because import label_reasons, result_reasons
from earmark_client.calls import Call, Steps, ask, decoded
from earmark_client.past import Page
from earmark_client.request import TIMEOUT, Refused
from earmark_client.run import run

RESULTS = 60  # before the event, at most
EXAMPLES = """\
examples:
  earmark explain 9f2c61d0-311        the label with this id, as `earmark watch --json` and history show it
  earmark explain 1043                the event with this number: a label, or a result
  earmark explain 9f2c61d0:1043       the same, of this numbering
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "explain",
        help="tell why a label went on, or why none did",
        description="Tell why a label went on, or why none did: scores, thresholds, and what nearly stopped it.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("event", metavar="ID|SEQ", help="the id of a label, or the number of an event")
    add_daemon(parser, positional=False)
    parser.set_defaults(run=run_command)


def run_command(args: argparse.Namespace) -> int:
    """Print the reasons. Returns the exit code. Raises SubscriptionError where there is no such event."""
    for line in run(reasons(args.event), daemon_of(args), token_of(args)):
        print(line)
    return 0


def reasons(wanted: str) -> Steps[list[str]]:
    """Ask for all that is kept about an event, and return the lines that explain it. Raises SubscriptionError."""
    if found := re.fullmatch(r"(?:([^\s:-]+):)?(\d{1,18})", wanted, re.ASCII):
        newest = yield from _page(limit=1)
        epoch, seq = found[1] or newest.epoch, int(found[2])
        event = yield from _numbered(epoch, seq)
        if isinstance(event, Result):
            return (yield from _of_result(event, epoch))
        if not isinstance(event, Label):
            kind = type(event).__name__.lower()
            raise SubscriptionError(f"{wanted}: the event is a {kind}; results and labels can be explained")
        identity = event.id
    else:
        identity = wanted
    epoch, labels = yield from _labels(identity)
    on = next((label for label in labels if label.state == "on"), None)
    if on is None:
        raise SubscriptionError(f"{wanted}: the beginning of this label is not kept any more")
    off = next((label for label in labels if label.state == "off"), None)
    before = yield from _results(epoch, on.seq, on.source, on.classifier)
    return label_reasons(on, off, before, (yield from _status(on.classifier)), (yield from _changed(epoch, on.seq)))


def _of_result(event: Result, epoch: str) -> Steps[list[str]]:
    before = yield from _results(epoch, event.seq + 1, event.source, event.classifier)
    status = yield from _status(event.classifier)
    return result_reasons(event, before, status, (yield from _changed(epoch, event.seq)))


def _numbered(epoch: str, seq: int) -> Steps[Event]:
    types = "result,suppressed,label,source,loss,config"
    try:
        page = yield from _page(since=f"{epoch}:{max(0, seq - 1)}", types=types, limit=1)
    except Refused as refused:
        if refused.status != HTTPStatus.BAD_REQUEST:
            raise
        raise SubscriptionError(f"{seq}: there is no event with this number yet") from None
    for event in _events(page):
        if getattr(event, "seq", None) == seq:
            return event
    raise SubscriptionError(f"{seq}: this event is not kept; `earmark history` shows those that are")


def _labels(identity: str) -> Steps[tuple[str, list[Label]]]:
    cursor: dict[str, str] = {}
    while True:
        page = yield from _page(id=identity, types="label", limit=10, **cursor)
        if found := [event for event in _events(page) if isinstance(event, Label)]:
            if page.next and not any(label.state == "on" for label in found):
                more = yield from _page(id=identity, types="label", limit=10, cursor=page.next)
                found += [event for event in _events(more) if isinstance(event, Label)]
            return page.epoch, found
        if page.next is None:
            raise SubscriptionError(
                f"{identity}: no label with this id is kept; `earmark history` shows those that are"
            )
        cursor = {"cursor": page.next}


def _results(epoch: str, before: int, source: str, classifier: str) -> Steps[list[Result]]:
    """Ask for the results before that number, oldest first."""
    names = {"sources": join([source]), "classifiers": join([classifier])}
    page = yield from _page(types="result,suppressed", limit=RESULTS, cursor=f"older-{epoch}:{before}", **names)
    return [event for event in reversed(_events(page)) if isinstance(event, Result)]


def _status(classifier: str) -> Steps[ClassifierStatus | None]:
    """Ask for the settings in force; None if the classifier is gone, or at a gateway, which has none."""
    try:
        found = yield from calls.classifiers()
    except Refused as refused:
        if refused.status != HTTPStatus.NOT_FOUND:
            raise
        return None
    return next((each for each in found if each.name == classifier), None)


def _changed(epoch: str, seq: int) -> Steps[str]:
    """Ask when the daemon was changed first after that event; empty: it was not."""
    page = yield from _page(types="config", since=f"{epoch}:{seq}", limit=1)
    return next((event.time for event in _events(page) if isinstance(event, Config)), "")


def _page(**parameters: str | int) -> Steps[Page]:
    query = urlencode({"format": "json", **parameters})
    return decoded((yield from ask(Call("GET", f"{EVENTS}?{query}", timeout=TIMEOUT))), Page, EVENTS)


def _events(page: Page) -> Sequence[Event]:
    found: list[Event] = []
    for raw in page.events:
        try:
            found.append(decode(bytes(raw)))
        except msgspec.ValidationError:
            continue  # of a type that only a newer client knows
    return found
