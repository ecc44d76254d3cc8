"""`earmark devices`: list the microphones of this machine."""

from __future__ import annotations

import argparse

from earmark.commands.packages import needs_daemon_packages

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
    with needs_daemon_packages("devices"):
        from earmark.devices.inputs import format_sources, format_table, list_devices
        from earmark.devices.sound_server import SoundServer
    print(format_table(list_devices()))
    server = SoundServer()
    if sources := server.sources():
        print()
        print(format_sources(sources, server.default()))
    return 0
