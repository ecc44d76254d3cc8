"""`earmark pull`: fetch a model from the Hugging Face Hub, once."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from earmark.columns import printable
from earmark.commands.packages import needs_daemon_packages
from earmark.protocol.licence import told

DESCRIPTION = """\
Fetch a model from the Hugging Face Hub, pin its revision, check that Earmark can serve it, and print the lines
for the daemon's configuration. The daemon itself never fetches anything.
"""
EXAMPLES = """\
examples:
  earmark pull MIT/ast-finetuned-speech-commands-v2                  the newest revision
  earmark pull superb/wav2vec2-base-superb-sid@main >> earmark.toml  and into the configuration
  earmark pull ORG/NAME@0123456789abcdef0123456789abcdef01234567     exactly this one
HF_TOKEN opens private and gated models. EARMARK_MODELS is where models are kept
(default ~/.local/share/earmark/models). Needs the daemon's packages.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "pull",
        help="fetch a model from the Hugging Face Hub",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", metavar="ID[@REVISION]", help="as the Hub has it, ORG/NAME")
    parser.add_argument("--into", metavar="FOLDER", type=Path, help="keep it there instead of in EARMARK_MODELS")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Pull the model and print the `[[model]]` lines. Returns the exit code. Raises ModelError."""
    with needs_daemon_packages("pull"):
        from earmark.checkpoints.pull import pull
        from earmark.checkpoints.store import root
    models = args.into.expanduser().absolute() if args.into else root()
    pulled = pull(args.model, models, lambda text: print(f"earmark: {text}", file=sys.stderr, flush=True))
    what = "pulled" if pulled.is_new else "already there"
    licence = told(pulled.checkpoint.licence) if pulled.checkpoint.licence else "unknown; ask its model card"
    print(f"earmark: {what}: {pulled.model} at {pulled.revision}, licence {licence}", file=sys.stderr)
    for line in (*pulled.checkpoint.told, *pulled.checkpoint.remarks):
        print(f"earmark: {printable(line)}", file=sys.stderr)
    print(f"\n{pulled.settings()}", end="")
    return 0
