"""Sound for `earmark send` that needs the daemon's packages: microphones, and files of any format."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass

from earmark.commands.packages import needs_daemon_packages

BLOCKS_PER_SECOND = 20


@dataclass(frozen=True, slots=True)
class Delivers:
    """The microphone delivers from now on, at this rate in Hz."""

    device: str
    rate: int


@dataclass(frozen=True, slots=True)
class Missing:
    """So many seconds of sound are missing here."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Silent:
    """The microphone does not deliver; `detail` says why. It is tried again."""

    detail: str


def decoded(path: str) -> tuple[int, Iterator[bytes]]:
    """Return the rate of a recording, and its mono sound as floats of 32 bits. Raises SourceError."""
    with needs_daemon_packages("send"):
        from earmark.recordings.recording import open_recording
    recording = open_recording(path)

    def chunks() -> Iterator[bytes]:
        try:
            while len(samples := recording.read(max(1, recording.rate // BLOCKS_PER_SECOND))):
                yield samples.astype("<f4").tobytes()
        finally:
            recording.close()

    return recording.rate, chunks()


async def microphone(device: str, rate: int | None) -> AsyncGenerator[bytes | Delivers | Missing | Silent, None]:
    """Yield the sound of a microphone as mono floats of 32 bits, and what happens to it, until the caller closes it."""
    with needs_daemon_packages("send"):
        from earmark.audio.types import Block
        from earmark.capture.intake import Intake
        from earmark.capture.items import Failed, Gap, Started
        from earmark.capture.microphone import Microphone
        from earmark.config.sources import Microphone as Settings

    loop, filled = asyncio.get_running_loop(), asyncio.Event()
    intake = Intake("microphone", wake=lambda: _set(loop, filled))
    source = Microphone(Settings(name="microphone", device=device, rate=rate), intake)
    source.start()
    try:
        while True:
            await filled.wait()
            filled.clear()
            for item in intake.drain():
                match item:
                    case Block():
                        yield item.samples.astype("<f4").tobytes()
                    case Started(name, found):
                        yield Delivers(name, found)
                    case Gap(start, end, found):
                        yield Missing((end - start) / found)
                    case Failed(_, detail):
                        yield Silent(detail)
                    case _:
                        pass
    finally:
        await asyncio.to_thread(source.close)


def _set(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(event.set)
