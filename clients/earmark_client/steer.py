"""`earmark sources`, `pause`, `resume`, `set` and `reload`: see and change a running daemon."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import msgspec

from earmark.columns import padded, printable
from earmark.errors import ServerError, SubscriptionError
from earmark.hints import nearest
from earmark.protocol.endpoints import CLASSIFIERS, RELOAD, SOURCES
from earmark_client.address import Address
from earmark_client.arguments import add_daemon, daemon_of, token_of
from earmark_client.request import ForPrograms, bearer, send

TIMEOUT = 120.0  # seconds for one change; a reload may load models
GROUPS = ("decide", "vad")
LABELS = ("decide", "labels")
GIVEN_LISTS, TEMPLATE = ("labels", "background"), "template"  # where the model takes its labels at run time

SOURCES_EXAMPLES = """\
examples:
  earmark sources                       of the daemon on this machine
  earmark sources 192.168.1.20:8765     of another one
  earmark sources --json | jq '.[].state'
"""
PAUSE_EXAMPLES = """\
examples:
  earmark pause desk       release the microphone; labels that are on go off
  earmark resume desk      listen again
A pause lasts until it is resumed, or until a restart. A daemon with tokens wants one with the scope admin.
"""
SET_EXAMPLES = """\
examples:
  earmark set emotion                               what is in force now
  earmark set emotion decide.on=0.7                 from the next window on
  earmark set commands decide.labels.stop=0.9       for one label
  earmark set commands decide.labels.stop=null      and as for all others again
  earmark set commands vad.hangover_ms=200 vad.threshold=0.4
  earmark set house labels="a dog barking, rain"    where the model takes its labels at run time
  earmark set house labels='["a siren, far away", "rain"]' background="speech, silence"
The change lasts until the next reload or restart. The lines that would keep it, and the changes before it, are
printed: put them into the daemon's configuration, in the [[classifier]] that has this name there. A daemon with tokens
wants one with the scope admin.
"""
RELOAD_EXAMPLES = """\
examples:
  earmark reload                              after a change of the configuration or of the tokens
  earmark reload --url 192.168.1.20:8765
Subscribers stay. A configuration that is wrong changes nothing. A daemon with tokens wants one with the scope admin.
"""


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser of each command."""

    def add(name: str, text: str, examples: str, *, positional: bool = False) -> argparse.ArgumentParser:
        form = argparse.RawDescriptionHelpFormatter
        sentence = f"{text[:1].upper()}{text[1:]}."
        parser = commands.add_parser(name, help=text, description=sentence, epilog=examples, formatter_class=form)
        if not positional:
            add_daemon(parser, positional=False)
        return parser

    shown = add("sources", "list the sources of a daemon", SOURCES_EXAMPLES, positional=True)
    add_daemon(shown, positional=True)
    shown.add_argument("--json", action="store_true", help="print the daemon's own list, unchanged")
    shown.set_defaults(run=run_sources)
    for name, text, paused in (
        ("pause", "stop listening to a source", True),
        ("resume", "listen to a paused source again", False),
    ):
        parser = add(name, text, PAUSE_EXAMPLES)
        parser.add_argument("source", metavar="SOURCE", help="its name, as `earmark sources` shows it")
        parser.set_defaults(run=run_pause, paused=paused)
    changed = add("set", "change a classifier while the daemon runs", SET_EXAMPLES)
    changed.add_argument("classifier", metavar="CLASSIFIER", help="its name, as `earmark status` shows it")
    changed.add_argument(
        "changes",
        metavar="KEY=VALUE",
        nargs="*",
        help="decide.…, vad.…, labels, background or template, as in the configuration; without any, show them",
    )
    changed.set_defaults(run=run_set)
    add("reload", "let a daemon read its configuration again", RELOAD_EXAMPLES).set_defaults(run=run_reload)


def run_sources(args: argparse.Namespace) -> int:
    """Print the sources. Returns the exit code. Raises ServerError."""
    daemon = daemon_of(args)
    response = send(daemon, SOURCES, headers=bearer(token_of(args)))
    if response.status != 200:
        raise ServerError(f"{daemon.host} does not list its sources: {response.error()}")
    try:
        sources = msgspec.json.decode(response.body, type=list[dict[str, Any]])
        table = sources_table(sources)
    except (msgspec.DecodeError, KeyError):
        raise ServerError(f"{daemon.host} answers {SOURCES} with something that is no list of sources") from None
    print(response.body.decode() if args.json else table, file=ForPrograms())
    return 0


def run_pause(args: argparse.Namespace) -> int:
    """Pause a source or let it go on. Returns the exit code. Raises ServerError."""
    path = f"{SOURCES}/{quote(args.source, safe='')}"
    answer = change(daemon_of(args), "PATCH", path, {"paused": args.paused}, token_of(args))
    done = "paused" if args.paused else "no longer paused"
    print(f"{printable(args.source)}: {done if answer['changed'] else f'was {done} already'}")
    return 0


def run_set(args: argparse.Namespace) -> int:
    """Change a classifier, and print the lines that would keep it. Returns the exit code. Raises ServerError.

    Without changes, print the settings that are in force.
    """
    if not args.changes:
        print("\n".join(map(printable, assignments(classifier(daemon_of(args), args.classifier, token_of(args))))))
        return 0
    changes = parse_changes(args.changes)
    path = f"{CLASSIFIERS}/{quote(args.classifier, safe='')}"
    answer = change(daemon_of(args), "PATCH", path, changes, token_of(args))
    print("\n".join(told(answer)), file=sys.stderr)
    if answer.get("toml"):
        name = printable(args.classifier)
        hint = f"to keep it, give the [[classifier]] {name} of your configuration these lines:"
        print(f"earmark: it lasts until the next reload or restart; {hint}", file=sys.stderr, flush=True)
        print("\n".join(map(printable, answer["toml"].rstrip().split("\n"))))
    return 0


def run_reload(args: argparse.Namespace) -> int:
    """Let the daemon read its configuration again, and print what changed. Returns 0. Raises ServerError."""
    print("\n".join(told(change(daemon_of(args), "POST", RELOAD, {}, token_of(args)))))
    return 0


def change(daemon: Address, method: str, path: str, changes: Mapping[str, object], token: str | None) -> dict[str, Any]:
    """Send a request that changes the daemon, and return its answer. Raises ServerError if it is refused."""
    body = msgspec.json.encode(changes)
    headers = {"Content-Type": "application/json", **bearer(token)}
    response = send(daemon, path, method=method, body=body, length=len(body), headers=headers, timeout=TIMEOUT)
    if response.status == 401:
        raise ServerError(f"{daemon.host}: {response.error()}; give --token, or set EARMARK_TOKEN")
    if response.status != 200:
        raise ServerError(f"{daemon.host}: {response.error()}")
    try:
        answer = msgspec.json.decode(response.body, type=dict[str, Any])
        msgspec.convert(answer["changed"], list[dict[str, Any]])
        return answer
    except (msgspec.DecodeError, msgspec.ValidationError, KeyError):
        raise ServerError(f"{daemon.host} answers {path} with something else: is it earmarkd?") from None


def classifier(daemon: Address, name: str, token: str | None) -> dict[str, Any]:
    """Return what the daemon says of a classifier. Raises ServerError."""
    response = send(daemon, CLASSIFIERS, headers=bearer(token))
    if response.status != 200:
        raise ServerError(f"{daemon.host} does not list its classifiers: {response.error()}")
    try:
        known = {each["name"]: each for each in msgspec.json.decode(response.body, type=list[dict[str, Any]])}
    except (msgspec.DecodeError, KeyError):
        raise ServerError(
            f"{daemon.host} answers {CLASSIFIERS} with something that is no list of classifiers"
        ) from None
    if name not in known:
        raise ServerError(f"{daemon.host}: there is no classifier {name!r}{nearest(name, list(known))}")
    return known[name]


def assignments(shown: Mapping[str, Any]) -> Sequence[str]:
    """Return the settings of a classifier as parse_changes() takes them."""
    given = [f"{name}={_text(value)}" for name, value in (shown.get("label_set") or {}).items()]
    return given + [
        f"{group}.{name}={_text(value)}"
        for group in GROUPS
        for key, told in shown[group].items()
        for name, value in (
            [(f"{key}.{label}", score) for label, score in told.items()] if (group, key) == LABELS else [(key, told)]
        )
    ]


def told(answer: Mapping[str, Any]) -> Sequence[str]:
    """Return a line for each change, and one for what needs a restart."""
    lines = [
        printable(f"{each['key']}: {_text(each['before'])} -> {_text(each['after'])}") for each in answer["changed"]
    ]
    if answer.get("restart"):
        lines.append(printable(f"needs a restart, and stays as it is: {', '.join(answer['restart'])}"))
    return lines or ["nothing changed"]


def parse_changes(assignments: Iterable[str]) -> dict[str, Any]:
    """Return `decide.on=0.7` and the like as the JSON of a PATCH. Raises SubscriptionError.

    A value is JSON, or else a text. Dots and `=` may be part of a label: `decide.labels.a=b=0.9`. Labels that are given
    are a list as JSON has it, or stand between commas; `null` is none.
    """
    changes: dict[str, Any] = {}
    for assignment in assignments:
        key, _, value = assignment.partition("=")
        if key in (*GIVEN_LISTS, TEMPLATE) and "=" in assignment:
            found = _value(value)  # {} is JSON, too
            changes[key] = _listed(value) if key != TEMPLATE else found if isinstance(found, str) else value
            continue
        key, equals, value = assignment.rpartition("=")
        group, _, name = key.partition(".")
        if not equals or group not in GROUPS or not name:
            others = ", ".join(f"{each}=" for each in (*GIVEN_LISTS, TEMPLATE))
            raise SubscriptionError(
                f"{assignment!r} is not decide.KEY=VALUE or vad.KEY=VALUE, such as decide.on=0.7, nor one of {others}"
            )
        within, _, label = name.partition(".")
        if (group, within) == LABELS and label:
            changes.setdefault(group, {}).setdefault(within, {})[label] = _value(value)
        else:
            changes.setdefault(group, {})[name] = _value(value)
    return changes


def sources_table(sources: Sequence[Mapping[str, Any]]) -> str:
    """Return the sources for people, a line each."""
    rows: list[Sequence[str]] = [("source", "state", "device", "rate", "")]
    for each in sources:
        rate = f"{each['rate']} Hz" if each.get("rate") else ""
        cells = (each["name"], each["state"], each.get("device", ""), rate, each.get("detail", ""))
        rows.append([printable(str(cell)) for cell in cells])
    return "\n".join("  ".join(row).rstrip() for row in padded(rows))


def _value(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


def _listed(text: str) -> list[Any]:
    """Return a list of JSON, nothing for null, or the texts between commas."""
    found = _value(text)
    if found is None:
        return []
    return found if isinstance(found, list) else [label for each in text.split(",") if (label := each.strip())]


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()
