"""`earmark classify`: classify recordings with a running daemon, over its HTTP API."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec

from earmark.columns import printable
from earmark.errors import EarmarkError, ServerError, SubscriptionError
from earmark.protocol.events import Score
from earmark_client import calls
from earmark_client.address import Address
from earmark_client.arguments import add_daemon, daemon_of, names_of, token_of
from earmark_client.request import NothingListens, Refused
from earmark_client.run import run
from earmark_client.watchers import has_colour

TABLE_LABELS = 5  # labels of a file in the table, without --top-k
CLEAR_LINE = "\r\x1b[K"
OPTIONS = {
    "candidate_labels": "--labels",
    "hypothesis_template": "--template",
    "function_to_apply": "--function",
    "top_k": "--top-k",
}
EXAMPLES = """\
examples:
  earmark classify dog.wav                            with the daemon's default model
  earmark classify *.flac --model earmark/commands    another of its models; see: earmark models
  ffmpeg -i x.mkv -f wav - | earmark classify -      what comes from another program
  earmark classify talk.mp3 --top-k 3 --json | jq .   for other programs, a line for each file
  earmark classify yard.wav --model laion/clap-htsat-unfused --labels "a dog barking,rain"
                                                      where a model takes its labels at run time
exit code: 0 if every file was classified, 1 if one was not
"""


@dataclass(frozen=True, slots=True)
class Query:
    """A daemon, and the parameters of the request for every file."""

    daemon: Address
    model: str | None = None
    top_k: int | None = None
    function: str | None = None
    token: str | None = None
    labels: Sequence[str] | None = None
    template: str | None = None


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "classify",
        help="classify recordings with a running daemon",
        description="Classify recordings with a running daemon: WAV, FLAC, OGG, Opus, MP3 and whatever else it takes.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", metavar="FILE", nargs="+")
    parser.add_argument("--model", metavar="ID", help="default: the daemon's default model")
    add_daemon(parser, positional=False)
    parser.add_argument(
        "--top-k", metavar="N", type=int, help=f"so many labels (default: {TABLE_LABELS}, with --json all)"
    )
    parser.add_argument(
        "--function", choices=("softmax", "sigmoid", "none"), help="from logits to scores; default: the model's own"
    )
    parser.add_argument(
        "--labels",
        metavar="TEXTS",
        help="what to tell apart, between commas, where the model takes its labels at run time",
    )
    parser.add_argument(
        "--template", metavar="TEXT", help="what it reads for such a label (default: 'This is a sound of {}.')"
    )
    parser.add_argument("--json", action="store_true", help="a line for each file: file and result, or file and error")
    parser.set_defaults(run=run_command)


def run_command(args: argparse.Namespace) -> int:
    """Classify the files one after the other. Returns 1 if one failed. Raises ServerError if nothing listens."""
    top_k = TABLE_LABELS if args.top_k is None and not args.json else args.top_k
    labels = None if args.labels is None else names_of(args.labels, "--labels")
    if labels == []:
        raise SubscriptionError("--labels: there are none")
    query = Query(daemon_of(args), args.model, top_k, args.function, token_of(args), labels, args.template)
    output = _Json() if args.json else _Table(args.files)
    failed = 0
    for number, file in enumerate(args.files, 1):
        output.begin(number, len(args.files), file)
        try:
            output.result(file, classify(query, Path(file)))
        except NothingListens:
            output.end()
            raise
        except EarmarkError as error:
            failed += 1
            output.error(file, str(error))
    output.end()
    return 1 if failed else 0


def classify(query: Query, file: Path, *, pause: Callable[[float], None] = time.sleep) -> list[Score]:
    """Return the file's labels by falling score. Waits, with `pause`, while the model is loading or the daemon is busy.

    Raises ServerError with the daemon's sentence, or with one about the file.
    """
    if str(file) == "-" or (file.exists() and not file.is_file()):
        with tempfile.NamedTemporaryFile() as kept:  # a pipe can be read once, and the request may have to be repeated
            _keep(file, kept)
            return classify(query, Path(kept.name), pause=pause)
    steps = calls.classify(
        file,
        model=query.model,
        top_k=query.top_k,
        function=query.function,
        labels=query.labels,
        template=query.template,
    )
    try:
        return run(steps, query.daemon, query.token, pause)
    except Refused as error:
        raise Refused(in_options(str(error), query), error.status) from None


def in_options(sentence: str, query: Query) -> str:
    """Return the daemon's sentence with the command's options in the place of the parameters that it names."""
    if query.labels is None and sentence.startswith("`candidate_labels` is missing"):
        return 'the model has no labels of its own; say what to tell apart, as in --labels "a dog barking,rain"'
    if query.model is None and sentence.startswith("`candidate_labels`:"):
        sentence += "; --model chooses one that takes them, and `earmark models` lists those"
    for parameter, option in OPTIONS.items():
        sentence = sentence.replace(f"`{parameter}`", option)
    return sentence


def _keep(file: Path, kept: IO[bytes]) -> None:
    """Copy what comes from a pipe, or from standard input (`-`), until its end. Raises ServerError."""
    try:
        with open(0 if str(file) == "-" else file, "rb", closefd=str(file) != "-") as pipe:
            shutil.copyfileobj(pipe, kept)
        kept.flush()
    except OSError as error:
        raise ServerError(f"cannot be read: {error.strerror}") from None


class _Json:
    """Prints one JSON line for each file on standard output: its result or its error."""

    def begin(self, number: int, count: int, file: str) -> None:
        """Print nothing: progress is for people."""

    def result(self, file: str, scores: Sequence[Score]) -> None:
        print(json.dumps({"file": file, "result": [msgspec.to_builtins(score) for score in scores]}), flush=True)

    def error(self, file: str, sentence: str) -> None:
        print(json.dumps({"file": file, "error": sentence}), flush=True)

    def end(self) -> None:
        """Print nothing: no line is pending."""


class _Table:
    """Prints a row for each file as soon as its result is there, and on a terminal the file in progress below."""

    def __init__(self, files: Sequence[str]) -> None:
        self._width = min(max(map(len, files)), 48)
        self._colour = has_colour(sys.stdout)
        self._progress = len(files) > 1 and sys.stderr.isatty()

    def begin(self, number: int, count: int, file: str) -> None:
        if self._progress:
            text = f"{number}/{count}  {printable(file)}"[: shutil.get_terminal_size().columns - 1]
            print(f"{CLEAR_LINE}{text}", end="", file=sys.stderr, flush=True)

    def result(self, file: str, scores: Sequence[Score]) -> None:
        self.end()
        print(row(file, scores, self._width, self._colour), flush=True)

    def error(self, file: str, sentence: str) -> None:
        self.end()
        print(f"earmark: {printable(file)}: {sentence}", file=sys.stderr, flush=True)

    def end(self) -> None:
        if self._progress:
            print(CLEAR_LINE, end="", file=sys.stderr, flush=True)


def row(file: str, scores: Sequence[Score], width: int, colour: bool) -> str:
    """Return `file  best label  its score  the others`, the others dim."""
    if not scores:
        return f"{printable(file):<{width}}  nothing"
    best, *others = scores
    rest = printable(", ".join(f"{other.label} {other.score:.2f}" for other in others))
    styled = f"\x1b[2m{rest}\x1b[0m" if colour and rest else rest
    return f"{printable(file):<{width}}  {printable(best.label):<16}  {best.score:.2f}  {styled}".rstrip()
