"""`earmark status`: show what a daemon says about itself."""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard

import msgspec

from earmark.columns import printable
from earmark.errors import ServerError
from earmark.protocol.endpoints import INFO, READY
from earmark_client.address import Address
from earmark_client.arguments import add_daemon, daemon_of, token_of
from earmark_client.request import bearer, send

EXAMPLES = """\
examples:
  earmark status                     the daemon on this machine
  earmark status 192.168.1.20:8765   another one
  earmark status --json | jq .info   for other programs
exit code: 0 if the daemon is ready, 1 if it is not or cannot be reached
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "status",
        help="show whether a daemon is ready, and what it has loaded",
        description="Show whether a daemon is ready, and what it has loaded.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_daemon(parser, positional=True)
    parser.add_argument("--json", action="store_true", help="print one JSON object: ready, missing and info")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print `/ready` and `/info`. Returns 0 if the daemon is ready. Raises ServerError."""
    daemon, token = daemon_of(args), token_of(args)
    ready = fetch(daemon, READY, token)
    is_ready = isinstance(ready, dict) and ready.get("ready") is True
    if args.json:
        missing = {} if is_ready or not isinstance(ready, dict) else ready.get("missing", {})
        print(json.dumps({"ready": is_ready, "missing": missing, "info": fetch(daemon, INFO, token)}))
        return 0 if is_ready else 1
    print(f"{daemon.host}: ready" if is_ready else f"{daemon.host}: not ready")
    if not is_ready and isinstance(ready, dict):
        print(*_indented(ready.get("missing", {}), 1), sep="\n")
    print(*_indented(fetch(daemon, INFO, token), 0), sep="\n")
    return 0 if is_ready else 1


def fetch(daemon: Address, path: str, token: str | None = None) -> Any:
    """Return the JSON that a route responds with, whatever the status. Raises ServerError."""
    try:
        return send(daemon, path, headers=bearer(token)).json()
    except msgspec.DecodeError:
        raise ServerError(f"{daemon.host} answers {path} with something that is not JSON: is it earmarkd?") from None


def _indented(content: object, depth: int) -> Iterator[str]:
    """Yield `name: value` lines, nested values indented below their name."""
    indent = "  " * depth
    if isinstance(content, dict):
        for name, value in content.items():
            if is_distribution(value):
                yield f"{indent}{name}: {distribution(value)}"
            elif isinstance(value, dict) or (isinstance(value, list) and any(isinstance(item, dict) for item in value)):
                yield f"{indent}{name}:"
                yield from _indented(value, depth + 1)
            else:
                yield f"{indent}{name}: {_flat(value)}"
    elif isinstance(content, list):
        for item in content:
            yield f"{indent}- {_flat(item)}"
    else:
        yield f"{indent}{_flat(content)}"


def is_distribution(value: object) -> TypeGuard[Mapping[str, Any]]:
    """Return whether this is a distribution of values, as `/info` shows one."""
    return isinstance(value, dict) and value.keys() == {"bounds", "counts", "sum"}


def distribution(value: Mapping[str, Any]) -> str:
    """Return how many values there are, their mean, and bounds that half and nearly all of them do not exceed."""
    count = sum(value["counts"])
    if not count:
        return "no values"
    half, most = (_bound(value, share) for share in (0.5, 0.99))
    return f"{count} values, mean {value['sum'] / count:.3g}, half {half}, 99 % {most}"


def _bound(value: Mapping[str, Any], share: float) -> str:
    """Return the lowest bound below which this share of the values lies."""
    wanted = share * sum(value["counts"])
    for bound, so_far in zip(value["bounds"], itertools.accumulate(value["counts"]), strict=False):
        if so_far >= wanted:
            return f"up to {bound:g}"
    return f"beyond {value['bounds'][-1]:g}"


def _flat(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_flat(inner)}" for name, inner in value.items())
    if isinstance(value, list):
        return ", ".join(map(_flat, value))
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return printable(text)
