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
  earmark status                     the daemon on this machine, in short
  earmark status --all               with all its counters
  earmark status 192.168.1.20:8765   another one
  earmark status --json | jq .info   for other programs
exit code: 0 if the daemon is ready, 1 if it is not or cannot be reached
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "status",
        help="show whether a daemon is ready, and what it does",
        description="Show whether a daemon is ready, what it hears, and what was lost.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_daemon(parser, positional=True)
    parser.add_argument("--all", action="store_true", help="show everything that /info of the daemon tells")
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
    info = fetch(daemon, INFO, token)
    print(*(_indented(info, 0) if args.all or not isinstance(info, dict) else summary(info)), sep="\n")
    return 0 if is_ready else 1


def summary(info: Mapping[str, Any]) -> list[str]:
    """Return what people ask first, in lines; what a daemon of another version does not tell is left out."""
    models, worker, journal, lost, subscribers = (
        _dict(info.get(name)) for name in ("models", "worker", "journal", "lost", "subscribers")
    )
    rows = [("version", info.get("version"))]
    rows += [(f"source {each.get('name')}", _source(each)) for each in _dicts(info.get("sources"))]
    rows += [(f"classifier {each.get('name')}", _classifier(each)) for each in _dicts(info.get("classifiers"))]
    rows += [("models", _named(models, "loaded", "loading"))]
    rows += [("worker", _named(worker, "phase", "device", "restarts", "fallback", "detail"))]
    if isinstance(gateway := info.get("gateway"), dict):
        rows += [("gateway", _gateway(gateway))]
    else:
        rows += [("journal", _named(journal, "state", "events", "detail") or "none")]
    rows += [(f"lost by {cause}", _lost(_dict(each))) for cause, each in lost.items()]
    rows += [("subscribers", _flat(subscribers.get("subscribers", "")))]
    told = [(printable(name), printable(str(text))) for name, text in rows if text]
    width = max((len(name) for name, _ in told), default=0)
    return [f"{name:<{width}}  {text}" for name, text in told]


def _dict(told: object) -> Mapping[str, Any]:
    return told if isinstance(told, dict) else {}


def _dicts(told: object) -> list[Mapping[str, Any]]:
    return [each for each in told if isinstance(each, dict)] if isinstance(told, list) else []


def _source(told: Mapping[str, Any]) -> str:
    return ", ".join(str(told[name]) for name in ("state", "device", "detail") if told.get(name))


def _classifier(told: Mapping[str, Any]) -> str:
    return f"{told.get('model')}, hears {_flat(told.get('sources', [])) or 'nothing'}"


def _gateway(told: Mapping[str, Any]) -> str:
    where = f"reads {told.get('stream')} of NATS"
    where += f" at {told.get('server')}" if told.get("connected") else f", not connected: {told.get('detail')}"
    part = _named(told, "served_nodes", "served_sources").replace("served_", "only the ")
    counts = _named(told, "behind", "nodes", "silent", "gaps", "stalls").replace("silent", "silent nodes")
    return ", ".join(filter(None, (where, part, counts)))


def _named(told: Mapping[str, Any], *names: str) -> str:
    return ", ".join(f"{name} {_flat(told[name])}" for name in names if told.get(name))


def _lost(told: Mapping[str, Any]) -> str:
    return f"{_flat(told.get('seconds', 0))} s in {_flat(told.get('times', 0))} pieces"


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
