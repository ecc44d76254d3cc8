"""A source whose sound a client sends over the network. All on the event loop, which receives it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from earmark.audio.pcm import Format, Pcm
from earmark.audio.types import Samples
from earmark.capture.delivery import Delivery, Lull
from earmark.capture.intake import PUT_SECONDS, Intake
from earmark.capture.pace import Pace
from earmark.config import sources as config
from earmark.devices.suspension import Suspension

ROOM_SECONDS = 0.02  # between two looks at a full intake
PIECES_PER_SECOND = 10  # in which a message is delivered
MAX_CLIENTS = 8  # one that is heard, and others that wait for their turn; all but the last of them have gone
NOBODY = "waits for a client that sends its sound"


@dataclass(frozen=True, slots=True)
class Sound:
    """What a client says of the sound that it sends.

    `lost` are the seconds of sound that it could not send since its last connection; None where it does not say.
    """

    rate: int
    channels: int
    format: Format
    lost: float | None = None


class Network:
    """A source that delivers what a client sends, one client at a time.

    It has no thread: whoever receives the sound calls connect(), and then the Feed. A client that has gone is `lost`,
    and whatever comes from the next one has a gap before it. What it sent before is heard to its end, and the next one
    waits for its turn meanwhile.
    """

    def __init__(
        self,
        settings: config.Network,
        intake: Intake,
        *,
        suspension: Suspension | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self.intake = intake
        self.suspension = suspension or Suspension()
        self.clock = clock
        self.pace = Pace(clock())  # over all connections: a client that comes back may make up for its absence
        self.feeds: deque[Feed] = deque()  # the first of them has its turn

    def start(self) -> None:
        """Wait for a client, unless one is there already: the port is open while models are loaded."""
        if not self.feeds:
            self.intake.fail("starting", NOBODY)

    def close(self) -> None:
        """Take nothing more. On any thread."""
        self.intake.close()

    @property
    def closed(self) -> bool:
        """Whether the source has ended or was removed."""
        return self.intake.closed

    @property
    def is_taken(self) -> bool:
        """Whether a client sends or waits for that. One that has gone does not, though its sound may be on its way."""
        return not all(feed.has_gone for feed in self.feeds)

    @property
    def is_full(self) -> bool:
        """Whether the sound of so many clients that have gone is still to be heard that no other may wait for it."""
        return len(self.feeds) >= MAX_CLIENTS

    def connect(self, client: str, sound: Sound) -> Feed | None:
        """Return the feed of a client that has connected, or None if another may not. `client` is for people."""
        if self.is_taken or self.is_full:
            return None
        feed = Feed(self, client, sound)
        self.feeds.append(feed)
        return feed


class Feed:
    """The sound of one client, from its connection to its end.

    The caller waits until the feed has its turn, and then calls begin(). For each message, it delivers its pieces()
    with put(), each after waiting until wait() is 0. Not reading meanwhile is what slows a client down that is faster
    than its sound: TCP tells it. When no message has come for a moment, the caller calls idle(). Nothing is lost on a
    connection, so a client that stood still goes on where it was.
    """

    def __init__(self, network: Network, client: str, sound: Sound) -> None:
        self._network = network
        self._intake = network.intake
        self._client = client
        self._sound = sound
        self._pcm = Pcm(sound.format, sound.channels, network.settings.channel)
        self._delivery = Delivery(network.settings.stall_s, network.clock())
        self._lull: Lull = ""
        self._begun = False
        self.has_gone = False  # set by the caller, who still delivers what has come
        self.held = 0.0  # seconds for which the client had to wait

    @property
    def has_turn(self) -> bool:
        """Whether all clients that came before this one were heard to their ends."""
        return self._network.feeds[0] is self

    def begin(self) -> None:
        """Say that its turn has come."""
        network = self._network
        if self._sound.lost is not None:
            network.pace.excuse()
        self._delivery = Delivery(network.settings.stall_s, network.clock())

    def pieces(self, message: bytes) -> Iterator[Samples]:
        """Yield the samples in a message, a tenth of a second at a time. It may end in the middle of a sample."""
        size = max(1, self._sound.rate // PIECES_PER_SECOND) * self._pcm.frame_bytes
        for start in range(0, len(message), size):
            samples = self._pcm.feed(message[start : start + size])
            if len(samples):
                yield samples

    def wait(self) -> float:
        """Return the seconds to wait before the next put(); 0: none."""
        seconds = self._network.pace.wait(self._network.clock())
        if not seconds and self._intake.stats().queued > PUT_SECONDS * self._sound.rate:
            seconds = ROOM_SECONDS
        self.held += seconds
        return seconds

    def put(self, samples: Samples) -> None:
        """Deliver samples."""
        seconds = len(samples) / self._sound.rate
        if self._network.suspension.seconds() and self._begun:
            self._intake.pause(long=True)  # a client on this machine stood still too, and only it knows what it missed
        if not self._begun or self._lull == "stall":
            self._intake.begin(self._client, self._sound.rate, 0.0 if self._begun else self._sound.lost)
            self._delivery.begin(self._network.clock() - seconds)
        self._begun, self._lull = True, ""
        self._intake.offer(samples)
        self._network.pace.came(seconds)
        self._delivery.came(seconds, self._network.clock())

    def idle(self) -> None:
        """Say that no sound comes for now, if that is so."""
        lull = self._delivery.lull(self._network.clock())
        if lull == self._lull:
            return
        self._lull = lull
        if lull == "stall":
            seconds = self._network.settings.stall_s
            self._intake.fail("stalled", f"{self._client}: is connected and has sent nothing for {seconds:g} s")
        elif lull and self._begun:
            self._intake.pause(long=lull == "long")

    def end(self, reason: str) -> None:
        """Say that the client has gone; `reason` says how."""
        had_turn = self.has_turn
        self._network.feeds.remove(self)
        if not had_turn:
            return
        self._intake.pause(long=True)  # what is there was said to its end
        self._intake.fail("lost", f"{self._client} {reason}; {NOBODY}")
