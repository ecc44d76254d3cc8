"""The command `earmark`."""

from __future__ import annotations

import argparse
import errno
import io
import os
import sys
from collections.abc import Sequence

import earmark
from earmark.errors import EarmarkError
from earmark_client import classify, clips, explain, history, models, send, status, steer, watch
from earmark_client.arguments import Parser
from earmark_client.monitor import command as monitor
from earmark_client.report import command as report
from earmark_client.request import complain
from earmark_client.route import command as route

EXAMPLES = """\
examples:
  earmark watch             show what the daemon on this machine hears
  earmark monitor           watch labels live: bars, the last minutes, shares of the time
  earmark report            make a page about the last hour
  earmark history           show what it heard before
  earmark clips list        list the sound that it was told to keep
  earmark route FILE        run programs, webhooks and more for what it hears
  earmark explain ID        tell why a label went on
  earmark status            ask whether it is ready
  earmark classify x.wav    let it classify a recording
  earmark send SOURCE       send it the sound of this machine's microphone
  earmark models            list the models that it can use
  earmark set NAME KEY=...  change a classifier while the daemon runs
  earmark pause SOURCE      stop listening to a source; `earmark resume` goes on
  earmark reload            let it read its configuration again
  earmark pull ORG/NAME     fetch one more from the Hugging Face Hub
  earmark learn NAME ...    learn words of your own from examples
  earmark export ORG/NAME   write it for onnxruntime, without torch
  earmark tune x.wav        choose thresholds by a recording
  earmark devices           list the microphones
  earmark token new NAME    make a token
`earmark COMMAND --help` tells more. The daemon itself is `earmarkd`.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code: 0 when done or interrupted, 1 after an error, 2 for wrong usage."""
    given = parser()
    if not (sys.argv[1:] if argv is None else argv):
        given.print_help(sys.stderr)
        return 2
    args = given.parse_args(argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what its encoding lacks is escaped: a label must not end the command
            stream.reconfigure(errors="backslashreplace")
            if getattr(args, "json", False):
                stream.reconfigure(encoding="utf-8")  # as JSON is exchanged (RFC 8259)
    try:
        code: int = args.run(args)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return 0
    except BrokenPipeError:  # the reader of the pipe has gone
        _give_up_output()
        return 0
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT) or error.filename is not None:
            raise
        _give_up_output()
        print(f"earmark: the output cannot be written: {error.strerror}", file=sys.stderr)
        return 1
    except EarmarkError as error:
        complain(str(error))
        return error.exit_code


def _give_up_output() -> None:
    """Write nothing more to standard output. Otherwise Python would complain again when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line, with every command."""
    from earmark.commands import devices, export, learn, pull, serve_ray, token, tune

    parser: argparse.ArgumentParser = Parser(
        prog="earmark",
        description="Listen in on an Earmark daemon.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"earmark {earmark.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    watch.add_parser(commands)
    monitor.add_parser(commands)
    history.add_parser(commands)
    clips.add_parser(commands)
    route.add_parser(commands)
    report.add_parser(commands)
    explain.add_parser(commands)
    status.add_parser(commands)
    classify.add_parser(commands)
    models.add_parser(commands)
    send.add_parser(commands)
    steer.add_parsers(commands)
    pull.add_parser(commands)
    export.add_parser(commands)
    serve_ray.add_parser(commands)
    learn.add_parser(commands)
    tune.add_parser(commands)
    devices.add_parser(commands)
    token.add_parser(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
