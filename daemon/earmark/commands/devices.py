"""`earmark devices`: list the microphones of this machine."""

from __future__ import annotations

import argparse
import sys

DESCRIPTION = "List the microphones of this machine, by the names that a source's `device` setting takes."
EXAMPLES = "examples:\n  earmark devices\n"


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "devices",
        help="list the microphones of this machine",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the devices. Raises SourceError if PortAudio is not installed."""
    try:
        from earmark.capture.devices import format_table, list_devices
    except ImportError as error:
        print(f"earmark: devices needs the daemon's packages ({error}): pip install 'earmark[daemon]'", file=sys.stderr)
        return 1
    print(format_table(list_devices()))
    return 0
