"""`earmark models`: list the models that a daemon can use."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

import msgspec

from earmark.columns import padded, printable
from earmark.errors import ServerError
from earmark.protocol.endpoints import MODELS
from earmark.protocol.licence import told
from earmark_client.answers import Model
from earmark_client.arguments import add_daemon, daemon_of, token_of
from earmark_client.request import ForPrograms, bearer, send

HEAD = ("", "model", "state", "labels", "function", "rate", "size", "licence", "from")
EXAMPLES = """\
examples:
  earmark models                       of the daemon on this machine
  earmark models 192.168.1.20:8765     of another one
  earmark models --json | jq '.[].id'  for other programs
The default model is starred.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "models",
        help="list the models that a daemon can use",
        description="List the models that a daemon can use: whether they are loaded, what they answer, their licences.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_daemon(parser, positional=True)
    parser.add_argument("--json", action="store_true", help="print the daemon's own list, unchanged")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the list. Returns the exit code. Raises ServerError."""
    daemon = daemon_of(args)
    response = send(daemon, MODELS, headers=bearer(token_of(args)))
    if response.status != 200:
        raise ServerError(f"{daemon.host} does not list its models: {response.error()}")
    try:
        models = msgspec.json.decode(response.body, type=list[Model])
    except msgspec.DecodeError:  # a ValidationError is one
        raise ServerError(f"{daemon.host} answers {MODELS} with something that is no list of models") from None
    print(response.body.decode() if args.json else table(models), file=ForPrograms())
    return 0


def table(models: Sequence[Model]) -> str:
    """Return the models for people, a line each, and below it why a model cannot be used, or what it costs."""
    rows = [HEAD, *(tuple(map(printable, _row(model))) for model in models)]
    head, *lines = ("  ".join(row).rstrip() for row in padded(rows))
    return "\n".join([head, *_with_reasons(models, lines)])


def _with_reasons(models: Sequence[Model], lines: Sequence[str]) -> Iterator[str]:
    for model, line in zip(models, lines, strict=True):
        yield line
        for sentence in (model.why, *model.remarks):
            if sentence:
                yield f"      {printable(sentence)}"


def _row(model: Model) -> Sequence[str]:
    names = f"{model.id} ({', '.join(model.aliases)})" if model.aliases else model.id
    origin = f"{model.origin} {model.revision[:12]}" if model.revision else model.origin
    return (
        "*" if model.default else "",
        names,
        model.state,
        "given at run time" if model.takes_labels else _labels(model.labels),
        model.function,
        f"{model.rate} Hz" if model.rate else "",
        _size(model.bytes),
        told(model.licence or ""),
        origin,
    )


def _labels(labels: Sequence[str], max_characters: int = 32) -> str:
    """Return the number of labels and the first of them, as many as fit into `max_characters`."""
    shown = ""
    for label in labels:
        if len(f"{shown} {label}") > max_characters:
            return f"{len(labels)}:{shown} ..."
        shown += f" {label}"
    return f"{len(labels)}:{shown}"


def _size(count: int | None) -> str:
    if count is None:
        return ""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
