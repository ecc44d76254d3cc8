"""A process that listens to one microphone and reports, because PortAudio is initialised once per process.

    python -m tests.hear '{"name": "m", "device": "default"}' OUT

Prints a line of JSON for every item drained, with the monotonic time `at` which is the same in all processes, and for
each answer of the sound server; the samples go to the file OUT as float32. Ends when its standard input does, and says
how long close() took.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import Any

import msgspec

from earmark.audio.types import Block
from earmark.capture.intake import Intake
from earmark.capture.items import Ended, Failed, Gap, Item, Overflowed, Paused, Started
from earmark.capture.microphone import Microphone
from earmark.config import sources as config
from earmark.devices.sound_server import ServerSource, SoundServer


def report(item: Item) -> dict[str, Any]:
    match item:
        case Started(device, rate):
            return {"kind": "started", "device": device, "rate": rate}
        case Failed(state, detail):
            return {"kind": state, "detail": detail}
        case Ended(error):
            return {"kind": "ended", "error": error}
        case Paused(long):
            return {"kind": "paused", "long": long}
        case Overflowed(position):
            return {"kind": "overflowed", "position": position}
        case Gap(start, end, rate):
            return {"kind": "gap", "start": start, "end": end, "rate": rate}
        case Block(position, samples, rate, captured):
            return {
                "kind": "block",
                "position": position,
                "count": len(samples),
                "rate": rate,
                "captured": captured / 1e9,
            }


def say(what: dict[str, Any]) -> None:
    print(json.dumps({"at": time.monotonic(), **what}), flush=True)


class Server(SoundServer):
    """The sound server, whose answers are reported."""

    def source_of(self, pid: int) -> ServerSource | None:
        found = super().source_of(pid)
        if found is not None:
            say({"kind": "from", "source": found.name})
        return found


def main(settings: str, path: str) -> None:
    woken = threading.Event()
    done = threading.Event()
    intake = Intake("test", woken.set)
    source = Microphone(msgspec.json.decode(settings, type=config.Microphone), intake, server=Server())

    def drain() -> None:
        with open(path, "wb") as out:
            while not done.is_set():
                woken.wait()
                woken.clear()
                for item in intake.drain():
                    if isinstance(item, Block):
                        out.write(item.samples.tobytes())
                    say(report(item))

    draining = threading.Thread(target=drain)
    draining.start()
    source.start()
    sys.stdin.read()
    before = time.monotonic()
    source.close()
    took = time.monotonic() - before
    done.set()
    woken.set()
    draining.join()
    say({"kind": "closed", "took": took})


if __name__ == "__main__":
    main(*sys.argv[1:])
