"""`earmark send`: send the sound of a microphone, a file or a pipe to a source of a daemon on another machine."""

from __future__ import annotations

import argparse
import asyncio
import concurrent.futures
import contextlib
import threading
import time
from collections.abc import AsyncGenerator, Coroutine, Iterator
from contextlib import aclosing
from datetime import datetime
from pathlib import Path

from earmark.errors import EarmarkError, ServerError, SourceError, SubscriptionError
from earmark_client.arguments import add_daemon, daemon_of, token_of
from earmark_client.request import complain
from earmark_client.sender import BUFFER_SECONDS, SAMPLE_BYTES, Sender
from earmark_client.sounds import Pcm, recording, standard_input

SPEED = 1.01  # at which a file is read at most; no crystal of a sound card is so fast
AHEAD_SECONDS = 1.0  # of a file that are read before their time
QUEUE_CHUNKS = 4
EXAMPLES = """\
examples:
  earmark send phone --url pi.local:8765           the default microphone of this machine
  earmark send phone --device "USB Microphone"     another one; see: earmark devices
  earmark send phone talk.flac                     a recording, as fast as it sounds
  arecord -t raw -f S16_LE -r 16000 | earmark send phone -
The daemon needs a source of kind "network" with that name.
exit code: 0 when a file or pipe was sent or Ctrl-C came, 1 if the daemon refuses or a file cannot be read
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "send",
        help="send sound to a source of a daemon",
        description="Send the sound of a microphone, of a recording or of another program to a daemon. A lost"
        " connection is made again; meanwhile the newest sound is kept, and what is lost is told.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", metavar="SOURCE", help='name of a source of kind "network"')
    parser.add_argument(
        "file", metavar="FILE", nargs="?", help="a recording, or - for raw PCM on standard input (default: microphone)"
    )
    parser.add_argument("--device", metavar="NAME", help="microphone, as a source's `device` setting names it")
    parser.add_argument("--rate", metavar="HZ", type=int, help="of raw PCM or of the microphone (default: 16000)")
    parser.add_argument("--channels", metavar="N", type=int, default=1, help="of raw PCM (default: 1)")
    parser.add_argument("--format", choices=tuple(SAMPLE_BYTES), default="s16le", help="of raw PCM (default: s16le)")
    parser.add_argument(
        "--buffer",
        metavar="SECONDS",
        type=float,
        default=BUFFER_SECONDS,
        help=f"of sound that is kept while there is no connection (default: {BUFFER_SECONDS:g})",
    )
    add_daemon(parser, positional=False)
    parser.add_argument("--token-file", metavar="FILE", help="a file that holds the token alone")
    parser.add_argument("--quiet", action="store_true", help="print nothing about connections and losses")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Send until the sound ends or Ctrl-C comes. Raises EarmarkError where the daemon refuses."""
    if args.device is not None and args.file is not None:
        raise SubscriptionError("--device and FILE both say what to send; choose one")
    if args.channels < 1 or (args.rate is not None and args.rate < 1) or not args.buffer > 0:
        raise SubscriptionError("--rate, --channels and --buffer are greater than 0")
    if args.file is None:
        asyncio.run(_send_microphone(args))
    else:
        rate, channels, form = args.rate or 16000, args.channels, args.format
        pcm = standard_input(rate, channels, form) if args.file == "-" else recording(args.file)
        asyncio.run(_send(args, pcm))
    return 0


def token_in(args: argparse.Namespace) -> str | None:
    """Return the token: that of the file, the arguments or the environment."""
    if args.token_file is None:
        return token_of(args)
    try:
        token = Path(args.token_file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise SourceError(f"--token-file: {args.token_file} cannot be read: {reason}") from None
    if len(token.split()) != 1:
        raise SourceError(f"--token-file: {args.token_file} holds no token, or more than one")
    return token


class _Notices:
    """Prints what happens to the connection, once for each new reason and not at every try."""

    def __init__(self, source: str, host: str, *, quiet: bool) -> None:
        self._source = source
        self._host = host
        self._quiet = quiet
        self._last = ""
        self.were_connected = False

    def connected(self) -> None:
        self._last = ""
        self.were_connected = True
        self.say(f"sending to {self._source} at {self._host}")

    def failed(self, error: EarmarkError) -> None:
        if str(error) != self._last:
            self.say(f"{error} (trying again)")
        self._last = str(error)

    def lost(self, seconds: float) -> None:
        self.say(f"{seconds:.1f} s of sound were lost before {datetime.now():%H:%M:%S}")

    def say(self, text: str) -> None:
        if not self._quiet:
            complain(text)


def _sender(args: argparse.Namespace, notices: _Notices, pcm: Pcm) -> Sender:
    return Sender(
        args.source,
        args.url,
        rate=pcm.rate,
        channels=pcm.channels,
        format=pcm.format,
        token=token_in(args),
        ca=args.ca,
        buffer=args.buffer,
        on_failure=notices.failed,
        on_lost=notices.lost,
        on_connected=notices.connected,
    )


def _notices(args: argparse.Namespace) -> _Notices:
    return _Notices(args.source, daemon_of(args).host, quiet=args.quiet)


async def _send(args: argparse.Namespace, pcm: Pcm) -> None:
    """Send a recording or a pipe: no faster than it sounds, so that a pipe of a file is not lost while it waits."""
    notices = _notices(args)
    async with _sender(args, notices, pcm) as sender:
        await _unless_refused(sender, _feed(sender, pcm, args.buffer, waits=args.file != "-"))
    if sender.lost and not notices.were_connected:
        raise ServerError(f"nothing was sent: there was no connection to {daemon_of(args).host}")


async def _unless_refused(sender: Sender, feeding: Coroutine[object, object, None]) -> None:
    """Feed the sender, until that is done or the daemon refuses: standard input may be silent for ever."""
    tasks = [asyncio.ensure_future(feeding), asyncio.ensure_future(sender.until_refused())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _feed(sender: Sender, pcm: Pcm, most: float, waits: bool) -> None:
    """Give the sender all chunks. After a stop of `most` seconds, as many may come at once.

    A recording `waits` while there is no connection. Standard input does not: it may be a microphone.
    """
    second = pcm.rate * pcm.channels * SAMPLE_BYTES[pcm.format]
    credit, before = min(AHEAD_SECONDS, most / 2), time.monotonic()
    async with aclosing(_chunks(pcm.chunks)) as chunks:
        async for chunk in chunks:
            if waits:
                await sender.send(chunk)
            else:
                sender.offer(chunk)
            now = time.monotonic()
            credit = min(credit + (now - before) * SPEED, most) - len(chunk) / second
            before = now
            if credit < 0:
                await asyncio.sleep(-credit)


async def _send_microphone(args: argparse.Namespace) -> None:
    """Send a microphone, for ever."""
    from earmark.commands.sound import Delivers, Missing, Silent, microphone

    notices = _notices(args)
    async with contextlib.AsyncExitStack() as stack:
        items = await stack.enter_async_context(aclosing(microphone(args.device or "default", args.rate)))
        sender: Sender | None = None
        rate = 0
        async for item in items:
            match item:
                case Delivers(device, found):
                    if rate and found != rate:
                        raise SourceError(f"{device} delivers {found} Hz now and {rate} before; start again")
                    notices.say(f"{device} at {found} Hz")
                    rate = found
                    if sender is None:
                        sender = await stack.enter_async_context(
                            _sender(args, notices, Pcm(rate, 1, "f32le", iter(())))
                        )
                case Missing(seconds) if sender is not None:
                    sender.skip(seconds)
                case Silent(detail):
                    notices.say(detail)
                case bytes() if sender is not None:
                    sender.offer(item)
                case _:
                    pass


async def _chunks(chunks: Iterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Yield what another thread reads: standard input blocks, and the thread then ends with the program."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[bytes | BaseException | None] = asyncio.Queue(QUEUE_CHUNKS)

    def put(item: bytes | BaseException | None) -> None:
        asyncio.run_coroutine_threadsafe(queue.put(item), loop).result()

    def read() -> None:
        try:
            for chunk in chunks:
                put(chunk)
            put(None)
        except (EarmarkError, OSError) as error:
            put(error)
        except (RuntimeError, concurrent.futures.CancelledError):  # the loop has ended
            return

    threading.Thread(target=read, name="reader", daemon=True).start()
    while (item := await queue.get()) is not None:
        if isinstance(item, BaseException):
            raise item
        yield item
