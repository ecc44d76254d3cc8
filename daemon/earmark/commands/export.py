"""`earmark export`: a model as a file that the daemon runs without torch."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from earmark.commands.packages import TORCH, needs_daemon_packages, require
from earmark.errors import ModelError

DESCRIPTION = """\
Write a model as a file of ONNX into its folder. The daemon then runs it with onnxruntime, which on a CPU is two to
four times as fast as torch, starts at once and takes far less memory. Features are computed in the file too. It is
compared with torch on sounds of several lengths, and kept only if its scores are the same: to 0.0001, or with --int8
if the best label is the same for 95 % of the windows and no score differs by more than 0.25.
"""
EXAMPLES = """\
examples:
  earmark export MIT/ast-finetuned-speech-commands-v2     a model that was pulled: model.onnx beside its weights
  earmark export models/mine                              a model in a folder
  earmark export models/mine --clips recordings/          and compare it on recordings of yours
  earmark export models/mine --int8                       model.int8.onnx, for worker.precision = "int8"
The embedded models have their model.onnx already. exit code: 0 if the file was kept, 1 if it was not.
Needs the daemon's packages, and onnx: pip install 'earmark[daemon,export]'.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "export",
        help="write a model for onnxruntime, which needs no torch",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", metavar="MODEL", help="its name, ORG/NAME, or its folder")
    parser.add_argument(
        "--int8", action="store_true", help="8 bits for the weights of linear layers: smaller, faster, a little off"
    )
    parser.add_argument(
        "--clips", metavar="FOLDER", type=Path, help="compare on the recordings there, not on sounds made up"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Export the model and tell what comes next. Returns the exit code. Raises EarmarkError."""
    with needs_daemon_packages("export"):
        from earmark.checkpoints import child, reader
        from earmark.checkpoints.catalogue import Entry
    require("export", TORCH | {"onnx": "export"})
    folder = reader.embedded().get(args.model) or Path(args.model).expanduser()
    if not folder.is_dir():
        folder = Entry(args.model, origin="hub").folder()
    if args.clips is not None and not args.clips.is_dir():
        raise ModelError(f"{args.clips} is not a folder of recordings")
    reader.read(folder, args.model)
    kind, clips = "int8" if args.int8 else "fp32", [str(args.clips)] if args.clips else []
    child.run(
        "earmark.exporting.run",
        *(args.model, str(folder.absolute()), kind, *clips),
        tell=lambda line: print(f"earmark: {line}", file=sys.stderr, flush=True),
    )
    when = ' with worker.precision = "int8"' if args.int8 else ""
    print(f"earmark: the daemon uses it on a CPU from its next start on{when}", file=sys.stderr)
    return 0
