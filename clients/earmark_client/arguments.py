"""How every command is told which daemon to ask, and with which token."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from earmark.errors import SubscriptionError
from earmark.hints import did_you_mean
from earmark.protocol.endpoints import DEFAULT_ADDRESS
from earmark.protocol.names import split
from earmark_client.address import Address, address

_NO_COMMAND = re.compile(r"argument COMMAND: invalid choice: '(?P<word>.*)' \(choose from (?P<known>.*)\)")


class Parser(argparse.ArgumentParser):
    """Takes `-1h` after `--from` or `--to` for a time; argparse would take it for an option.

    A command that does not exist is answered with the one that may have been meant.
    """

    def error(self, message: str) -> NoReturn:
        """Print what is wrong, and end with 2."""
        if found := _NO_COMMAND.fullmatch(message):
            hint = did_you_mean(found["word"], re.findall(r"[a-z]+", found["known"])) or "`earmark --help` lists them"
            message = f"there is no command {found['word']!r}; {hint}"
        super().error(message)

    def parse_known_args(  # type: ignore[override]  # argparse declares three forms of the one function
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> Any:
        """Parse the arguments, or those of the command line."""
        return super().parse_known_args(joined(sys.argv[1:] if args is None else args), namespace)


def joined(args: Sequence[str]) -> list[str]:
    """Return the arguments with `--from -1h` as `--from=-1h`."""
    found: list[str] = []
    for each in args:
        if found and found[-1] in ("--from", "--to") and re.match(r"-\d", each):
            found[-1] += f"={each}"
        else:
            found.append(each)
    return found


def add_daemon(parser: argparse.ArgumentParser, *, positional: bool) -> None:
    """Add `--url` and `--token`, and where `positional` is true the URL as an argument of its own."""
    if positional:
        parser.add_argument("address", metavar="URL", nargs="?", help="the same as --url")
    parser.add_argument(
        "--url",
        metavar="URL",
        help="HOST:PORT of the daemon, or a URL, which may have a path that a proxy serves it at"
        f" (default: EARMARK_URL, or else {DEFAULT_ADDRESS})",
    )
    parser.add_argument("--token", metavar="TOKEN", help="for a daemon that wants one (default: EARMARK_TOKEN)")
    parser.add_argument(
        "--ca",
        metavar="FILE",
        help="with https://, trust the certificates in this PEM file alone (default: EARMARK_CA)",
    )


def add_filters(parser: argparse.ArgumentParser, types: str) -> None:
    """Add the options that choose events; `types` is the help of `--types`."""
    parser.add_argument("--sources", metavar="NAMES", help="only these sources, separated by commas")
    parser.add_argument("--classifiers", metavar="NAMES", help="only these classifiers")
    parser.add_argument("--types", metavar="TYPES", help=types)
    parser.add_argument("--labels", metavar="NAMES", help="only these labels")
    parser.add_argument("--min-score", metavar="SCORE", help="only what scores at least this")
    parser.add_argument("--top-k", metavar="COUNT", help="so many labels in a result")


def daemon_of(args: argparse.Namespace) -> Address:
    """Return the address in the arguments. Raises SubscriptionError."""
    given: str | None = getattr(args, "address", None)
    if given is not None and args.url is not None:
        raise SubscriptionError(f"the daemon is given twice, as {given} and as --url {args.url}")
    return address(args.url if given is None else given, args.ca)


def token_of(args: argparse.Namespace) -> str | None:
    """Return the token in the arguments, or else in the environment, if there is one."""
    return args.token or os.environ.get("EARMARK_TOKEN")


def names_of(text: str, option: str) -> list[str]:
    """Return the names in the value of an option, which are separated by commas. Raises SubscriptionError."""
    try:
        return split(text)
    except ValueError as error:
        raise SubscriptionError(f"{option}: {error}") from None
