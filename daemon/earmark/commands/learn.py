"""`earmark learn`: teach the daemon words or sounds of one's own."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TextIO

from earmark.commands.packages import TORCH, needs_daemon_packages, require

CLEAR_LINE = "\r\x1b[K"
TICK = "\N{CHECK MARK}"
DESCRIPTION = """\
Learn words or sounds of your own from ten or more examples of each, and print the lines for the daemon's
configuration. Examples are recordings (each pause-separated utterance in a file is one), or are recorded now.
"""
EXAMPLES = """\
examples:
  earmark learn lights --record lamp curtain                       say each of them twelve times
  earmark learn lights recordings/                                 recordings/lamp/*.wav, recordings/curtain/*.wav
  earmark learn lights --label lamp l*.wav --label curtain c*.wav --background room.wav
  earmark learn lights recordings/ >> earmark.toml                 and into the configuration
  earmark learn knock --gate level --label knock knocks.flac       a sound that is no speech
A folder `_background_` in the folder, or --background, holds recordings of the room with nobody speaking.
Choose words that sound unlike each other. exit code: 0 if the model was kept, 1 if it was not.
Needs the daemon's packages, and onnx to write model.onnx, which a daemon runs without torch:
pip install 'earmark[daemon,export]'. EARMARK_MODELS is where models are kept (~/.local/share/earmark/models).
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "learn",
        help="learn words or sounds of your own",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", metavar="NAME", help="of the new model")
    parser.add_argument("folder", metavar="FOLDER", nargs="?", type=Path, help="holds a folder of recordings a label")
    parser.add_argument(
        "--label",
        metavar=("LABEL", "FILE"),
        nargs="+",
        action="append",
        default=[],
        help="recordings or folders of one",
    )
    parser.add_argument(
        "--background", metavar="FILE", nargs="+", type=Path, default=[], help="the room, nobody speaking"
    )
    parser.add_argument("--record", metavar="LABEL", nargs="+", default=[], help="record examples of these now")
    parser.add_argument("--count", metavar="N", type=int, default=12, help="examples a label to record (default 12)")
    parser.add_argument("--device", default="default", help="microphone to record from; see: earmark devices")
    parser.add_argument("--recordings", metavar="FOLDER", type=Path, help="keep the recordings there (default ./NAME)")
    parser.add_argument(
        "--gate", choices=("speech", "level"), default="speech", help="what tells examples from pauses (default speech)"
    )
    parser.add_argument(
        "--from", metavar="MODEL", dest="base", default="earmark/commands", help="build on it (default %(default)s)"
    )
    parser.add_argument("--out", metavar="FOLDER", type=Path, help="the model's folder (default: in EARMARK_MODELS)")
    parser.add_argument("--force", action="store_true", help="keep the model even if it is wrong too often")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Record if asked to, learn, and print the settings. Returns the exit code. Raises EarmarkError."""
    with needs_daemon_packages("learn"):
        from earmark.learning.find import gather
        from earmark.learning.learn import LearnRequest, check, learn
        from earmark.learning.record import Recorder, microphone, record
    require("learn", TORCH)

    def request() -> LearnRequest:
        folders = [*([args.folder] if args.folder else []), *([kept] if args.record and kept.is_dir() else [])]
        found, backgrounds = gather(folders, args.label)
        examples = {label: list[Path]() for label in args.record} | found
        out = args.out.expanduser().absolute() if args.out else None
        backgrounds += args.background
        return LearnRequest(args.name, examples, backgrounds, args.base, args.gate, out=out, force=args.force)

    progress = Progress(sys.stderr)
    kept: Path = args.recordings or Path(args.name.replace("/", "--"))
    if args.record:
        base = check(request())
        progress.tell(f"opening the microphone {args.device!r}")
        with Recorder(args.gate, base.rate, base.window or base.rate, microphone(args.device)) as recorder:
            record(recorder, args.record, args.count, kept, base.rate, progress.tell, progress.show)
        progress.tell(f"the recordings are kept in {kept}; the model does not need them any more once it is learnt")
    learned = learn(request(), progress.tell)
    progress.tell(f"{learned.name} is in {learned.path}; its README.md has the figures")
    progress.tell(learned.needed)
    print(f"\n{learned.settings()}", end="")
    return 0


class Progress:
    """Tells what is being done. On a terminal alone it also shows texts that the next one replaces."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_pending = False

    def tell(self, text: str) -> None:
        """Print the text, a line of its own unless it ends in %."""
        if text.endswith("%"):
            self.show(text)
            return
        print(
            f"{CLEAR_LINE if self._is_pending else ''}earmark: {self._printable(text)}", file=self._stream, flush=True
        )
        self._is_pending = False

    def show(self, text: str) -> None:
        """Show the text until the next one comes."""
        if self._stream.isatty():
            self._is_pending = True
            print(f"{CLEAR_LINE}earmark: {self._printable(text)}", end="", file=self._stream, flush=True)

    def _printable(self, text: str) -> str:
        """Return the text with "ok" for the tick if the stream's encoding has no such character."""
        try:
            TICK.encode(self._stream.encoding or "utf-8")
        except UnicodeEncodeError:
            return text.replace(TICK, "ok")
        return text
