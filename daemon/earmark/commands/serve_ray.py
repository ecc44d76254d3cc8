"""`earmark serve-ray`: serve models to the daemons of other machines, on Ray Serve."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from earmark.commands.packages import needs_daemon_packages
from earmark.config import settings as config
from earmark.errors import EarmarkError

if TYPE_CHECKING:
    from earmark.serving.applications import Arguments

DESCRIPTION = """\
Serve models to the daemons of other machines, on Ray Serve: on this machine, or in a Ray cluster. Each model is an
application of its own with as many replicas as you say. Daemons ask for them with

    [worker]
    engine = "oip"
    [worker.remote]
    endpoints = ["THIS-MACHINE:8001"]
    application = "{model}"

Ends with Ctrl-C. It listens on all addresses without TLS or tokens: put it into a network of its own.
"""
EXAMPLES = """\
examples:
  earmark serve-ray                                         earmark/commands, one replica
  earmark serve-ray earmark.toml --replicas 2               the models of that configuration's classifiers
  earmark serve-ray --model earmark/sounds --num-gpus 0.25  four replicas could share a GPU
  earmark serve-ray --address auto                          in the Ray cluster that runs on this machine
  earmark serve-ray earmark.toml --print-config > serve.yaml    for `serve deploy`, in production
Needs Ray: pip install 'earmark[daemon,ray]'.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "serve-ray",
        help="serve models to other machines, on Ray Serve",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("config", nargs="?", metavar="CONFIG", type=Path, help="a configuration of earmarkd")
    parser.add_argument("--model", action="append", metavar="ID", help="a model; may be named several times")
    parser.add_argument("--replicas", type=_count, default=1, metavar="N", help="of each model (default 1)")
    parser.add_argument(
        "--most-replicas", type=_count, default=0, metavar="N", help="Ray adds some up to N while they are busy"
    )
    parser.add_argument("--num-gpus", type=_share, default=0.0, metavar="F", help="of each replica, such as 0.25")
    parser.add_argument("--num-cpus", type=_share, default=1.0, metavar="F", help="of each replica (default 1)")
    parser.add_argument("--port", type=_port, default=8001, help="of gRPC (default 8001)")
    parser.add_argument("--http-port", type=_port, default=8002, help="of Ray's HTTP proxy on 127.0.0.1 (default 8002)")
    parser.add_argument("--address", default="", metavar="ADDRESS", help="of a Ray cluster to join; auto: the one here")
    parser.add_argument("--print-config", action="store_true", help="print a Serve configuration, and start nothing")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Serve until a signal comes. Returns the exit code. Raises EarmarkError."""
    with needs_daemon_packages("serve-ray"):
        from earmark.config.file import load
        from earmark.serving.applications import Where, configuration
    settings = load(args.config) if args.config else config.Config()
    chosen, where = applications(args, settings), Where(args.address, args.port, http_port=args.http_port)
    if args.print_config:
        print(configuration(chosen, where))
        return 0
    try:
        from earmark.serving import cluster
    except ModuleNotFoundError as error:
        if error.name not in ("ray", "grpc", "google"):
            raise
        raise EarmarkError("serve-ray needs Ray: pip install 'earmark[daemon,ray]'") from None
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    try:
        cluster.start(chosen, settings, where, _tell)
        _tell(f"daemons reach the models at port {args.port}; Ctrl-C ends this")
        ended.wait()
    finally:
        cluster.stop(chosen, where)
    return 0


def applications(args: argparse.Namespace, settings: config.Config) -> list[Arguments]:
    """Return what to serve: the models that are named, else those of the classifiers, else the default one."""
    from earmark.serving.applications import Arguments

    models = args.model or [each.model for each in settings.classifier] or [config.DEFAULT_MODEL]
    return [
        Arguments(
            model,
            str(args.config.absolute()) if args.config else "",
            args.replicas,
            args.most_replicas,
            args.num_gpus,
            args.num_cpus,
        )
        for model in dict.fromkeys(models)
    ]


def _tell(text: str) -> None:
    print(f"earmark: {text}", file=sys.stderr, flush=True)


def _count(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to 1000")
    return int(text)


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to 1000")
    return share


def _port(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port")
    return int(text)
