"""`earmark token`: make, list and revoke the tokens that a daemon accepts."""

from __future__ import annotations

import argparse
import os
import secrets
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from earmark.access import token_file, token_lines
from earmark.access.tokens import SCOPES, Token
from earmark.columns import padded
from earmark.config.file import load
from earmark.config.state import state_folder
from earmark.tomlfile.values import toml

DESCRIPTION = """\
Make, list and revoke the tokens that a daemon accepts (server.token_file). Only their hashes are kept.
"""
EXAMPLES = """\
examples:
  earmark token new page                                  print a token that may receive events
  earmark token new ci --scope classify                   one that may post clips
  earmark token new me --scope subscribe,classify,admin   one that may also change the running daemon
  earmark token list --config /etc/earmark/earmark.toml   of the file that this configuration names
  earmark token revoke page && earmark reload             and let the running daemon take it
scopes: subscribe receives events, classify posts clips, send sends sound, clips hears the sound that is kept,
admin changes the running daemon
"""
NEW_EXAMPLES = """\
examples:
  earmark token new page --file tokens                    one that may receive events, in the file `tokens`
  earmark token new kitchen --scope send --config earmark.toml > kitchen.token
  earmark token new me --scope subscribe,classify,admin --file tokens
The daemon takes the tokens of the file that `token_file` under [server] of its configuration names.
"""
REVOKE_EXAMPLES = """\
examples:
  earmark token revoke page --file tokens && earmark reload
A running daemon accepts the token until it has been reloaded.
"""
LIST_EXAMPLES = """\
examples:
  earmark token list --file tokens
  earmark token list --config /etc/earmark/earmark.toml
"""
BITS = 256
PREFIX = "earmark_"  # scanners for forgotten secrets look for such


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "token",
        help="make, list and revoke tokens",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    new = _add_action(actions, "new", "make a token and print it, once", NEW_EXAMPLES)
    new.add_argument("name", metavar="NAME", help="tells the token apart in lists and in the daemon's log")
    new.add_argument(
        "--scope",
        metavar="SCOPE,SCOPE",
        default="subscribe",
        help=f"what it allows: {', '.join(SCOPES)} (default: subscribe)",
    )
    revoke = _add_action(actions, "revoke", "remove a token", REVOKE_EXAMPLES)
    revoke.add_argument("name", metavar="NAME", help="as `earmark token list` shows it")
    listed = _add_action(actions, "list", "list names and scopes", LIST_EXAMPLES)
    for action, run in ((new, run_new), (listed, run_list), (revoke, run_revoke)):
        where = action.add_mutually_exclusive_group()
        where.add_argument("--config", metavar="PATH", type=Path, help="change the file that this configuration names")
        where.add_argument(
            "--file", metavar="PATH", type=Path, help="change this one (default: `tokens` in the state folder)"
        )
        action.set_defaults(run=run)


def _add_action(
    actions: argparse._SubParsersAction[argparse.ArgumentParser], name: str, does: str, examples: str
) -> argparse.ArgumentParser:
    return actions.add_parser(
        name,
        help=does,
        description=f"{does.capitalize()}.",
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def run_new(args: argparse.Namespace) -> int:
    """Make a token, print it, and write its hash. Returns the exit code. Raises ConfigError."""
    text = PREFIX + secrets.token_urlsafe(BITS // 8)
    token = Token.of(text, token_lines.scopes(args.scope), token_lines.name(args.name))
    file, named = file_of(args)
    token_file.change(file, partial(token_lines.with_token, token=token))
    _tell(f'token "{token.name}" is in {file} as a hash; it is printed this once')
    if not named:
        _tell(f"the daemon reads the file if its configuration has, under [server]: token_file = {toml(str(file))}")
    _tell("a running daemon takes the change with: earmark reload (or SIGHUP)")
    print(text)
    return 0


def run_list(args: argparse.Namespace) -> int:
    """Print names and scopes. Returns the exit code. Raises ConfigError."""
    tokens = token_file.entries(file_of(args)[0])
    rows = [("name", "allows"), *((token.name or "(plain text)", _scopes(token)) for token in tokens)]
    print("\n".join("  ".join(row).rstrip() for row in padded(rows)))
    return 0


def run_revoke(args: argparse.Namespace) -> int:
    """Remove a token. Returns the exit code. Raises ConfigError."""
    file, _ = file_of(args)
    token_file.change(file, partial(token_lines.without, name=args.name))
    _tell(f'token "{args.name}" is no longer in {file}')
    _tell("a running daemon accepts it until: earmark reload (or SIGHUP)")
    return 0


def file_of(args: argparse.Namespace, environment: Mapping[str, str] = os.environ) -> tuple[Path, bool]:
    """Return the file of tokens, and whether a configuration names it. Raises ConfigError."""
    if args.file is not None:
        return args.file.expanduser().absolute(), True
    if args.config is not None and (named := load(args.config).server.token_file):
        return Path(named), True
    return state_folder(environment) / "tokens", False


def _scopes(token: Token) -> str:
    return ", ".join(scope for scope in SCOPES if scope in token.scopes)


def _tell(text: str) -> None:
    print(f"earmark: {text}", file=sys.stderr)
