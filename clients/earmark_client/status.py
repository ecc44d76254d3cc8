"""`earmark status`: show what a daemon says about itself."""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeGuard

import msgspec

from earmark.columns import printable
from earmark.errors import ServerError
from earmark.protocol.endpoints import CLASSIFIERS, INFO, READY
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
    text = "print one JSON object: ready, missing, info, and the classifiers with their settings"
    parser.add_argument("--json", action="store_true", help=text)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print `/ready` and `/info`. Returns 0 if the daemon is ready. Raises ServerError."""
    daemon, token = daemon_of(args), token_of(args)
    ready = fetch(daemon, READY, token)
    is_ready = isinstance(ready, dict) and ready.get("ready") is True
    if args.json:
        missing = {} if is_ready or not isinstance(ready, dict) else ready.get("missing", {})
        told = {"ready": is_ready, "missing": missing, "info": fetch(daemon, INFO, token)}
        print(json.dumps(told | {"classifiers": classifiers(daemon, token)}))
        return 0 if is_ready else 1
    print(f"{daemon.host}: ready" if is_ready else f"{daemon.host}: not ready")
    if not is_ready and isinstance(ready, dict):
        print(*_indented(ready.get("missing", {}), 1), sep="\n")
    info = fetch(daemon, INFO, token)
    is_short = not args.all and isinstance(info, dict)
    print(*(summary(info, classifiers(daemon, token)) if is_short else _indented(info, 0)), sep="\n")
    return 0 if is_ready else 1


def summary(info: Mapping[str, Any], classifiers: Sequence[Mapping[str, Any]] = ()) -> list[str]:
    """Return what people ask first, in lines; what a daemon of another version does not tell is left out.

    `classifiers` has the settings of those that `info` names.
    """
    models, worker, journal, lost, subscribers, looks = (
        _dict(info.get(name)) for name in ("models", "worker", "journal", "lost", "subscribers", "second_looks")
    )
    settings = {each.get("name"): each for each in classifiers}
    rows = [("version", info.get("version"))]
    rows += [(f"source {each.get('name')}", _source(each)) for each in _dicts(info.get("sources"))]
    for each in _dicts(info.get("classifiers")):
        chosen = settings.get(each.get("name"), {})
        rows += [(f"classifier {each.get('name')}", _classifier(each))]
        rows += [("  groups", _groups(_dict(chosen.get("groups")))), ("  second look", _verify(chosen.get("verify")))]
    if any("verify" in each for each in classifiers):
        rows += [("second looks", _named(looks, "confirmed", "refused", "lost") or "none so far")]
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
    device, detail = str(told.get("device") or ""), str(told.get("detail") or "")
    if detail.startswith(device):  # such as "192.168.1.20 has ended"
        device = ""
    return ", ".join(filter(None, (str(told.get("state") or ""), device, detail)))


def _classifier(told: Mapping[str, Any]) -> str:
    return f"{told.get('model')}, hears {_flat(told.get('sources', [])) or 'nothing'}"


def _groups(told: Mapping[str, Any]) -> str:
    return ", ".join(f"{group} ({_flat(members)})" for group, members in told.items())


def _verify(told: object) -> str:
    """Return when which model looks a second time, and what confirms a label where the settings name it."""
    if not isinstance(told, dict):
        return ""
    labels = _dict(told.get("labels"))
    named = [
        f"{label} by {' or '.join(map(str, others))}" if others else f"{label} needs none"
        for label, others in labels.items()
    ]
    when = f"by {told.get('model')} below {told.get('sure')}, confirms from {told.get('on')} on"
    return f"{when}: {', '.join(named)}" if named else when


def _gateway(told: Mapping[str, Any]) -> str:
    where = f"reads {told.get('stream')} of NATS"
    where += f" at {told.get('server')}" if told.get("connected") else f", not connected: {told.get('detail')}"
    part = _named(told, "served_nodes", "served_sources").replace("served_", "only the ")
    counts = _named(told, "behind", "nodes", "silent", "gaps", "stalls").replace("silent", "silent nodes")
    return ", ".join(filter(None, (where, part, counts)))


def _named(told: Mapping[str, Any], *names: str) -> str:
    return ", ".join(f"{name} {_flat(told[name])}" for name in names if told.get(name))


def _lost(told: Mapping[str, Any]) -> str:
    times = told.get("times", 0)
    return f"{_flat(told.get('seconds', 0))} s in {_flat(times)} {'piece' if times == 1 else 'pieces'}"


def classifiers(daemon: Address, token: str | None = None) -> list[Mapping[str, Any]]:
    """Return the classifiers with their settings, or nothing where there are none to be had, as at a gateway."""
    try:
        return _dicts(fetch(daemon, CLASSIFIERS, token))
    except ServerError:
        return []


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
