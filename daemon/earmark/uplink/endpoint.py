"""The endpoint to which clients send sound: what is refused, and how a client is slowed down."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping

from websockets.exceptions import ConnectionClosed

from earmark.capture.network import Feed, Network, Sound
from earmark.errors import RequestError, SubscriptionError
from earmark.hints import did_you_mean
from earmark.protocol.endpoints import SUBPROTOCOL
from earmark.server.connection import Limits, WebSocketConnection
from earmark.server.handshake import Endpoint, Query
from earmark.uplink.parameters import Announced, parse

log = logging.getLogger(__name__)

MAX_MESSAGE_BYTES = 1024 * 1024  # 2.7 s at 48 kHz in stereo as floats
MAX_WAITING_MESSAGES = 1  # what waits when a client goes away is still heard, and the next client waits meanwhile
MAX_MESSAGES_PER_SECOND = 2000  # of 20 ms each: 10 s that a client has kept come within one
MAX_SENDERS = 256
RETRY_AFTER_SECONDS = 5  # of a client for whose source there is a pause
CHECK_SECONDS = 0.1  # between two looks at the clock
NORMAL_CLOSURE, GOING_AWAY, UNSUPPORTED_DATA, TRY_AGAIN_LATER = 1000, 1001, 1003, 1013  # RFC 6455 and IANA
NO_STATUS = 1005  # a close frame without a code


def audio_endpoint(
    networks: Callable[[], Mapping[str, Network | None]],
    names: Callable[[], Collection[str]],
    *,
    max_senders: int = MAX_SENDERS,
    max_messages_per_second: int = MAX_MESSAGES_PER_SECOND,
) -> Endpoint:
    """Return the endpoint at which clients send sound.

    `networks` returns the sources that take it by name, or None for one that is paused; `names` those of all sources.
    """

    def accept(query: Query) -> SenderConversation:
        try:
            announced = parse(query)
        except SubscriptionError as error:
            raise RequestError(400, str(error)) from None
        return SenderConversation(_found(announced.source, networks(), names()), announced)

    return Endpoint(
        "sounds that clients send",
        Limits(MAX_MESSAGE_BYTES, max_senders, max_messages_per_second, max_waiting_messages=MAX_WAITING_MESSAGES),
        accept,
        f"there are {max_senders} clients that send sound already",
        "send",
        SUBPROTOCOL,
    )


def _found(name: str, networks: Mapping[str, Network | None], names: Collection[str]) -> Network:
    """Return the source, or raise RequestError with the sources that there are."""
    network = networks.get(name)
    if network is None and name in networks:
        raise RequestError(503, f'source: "{name}" is paused', retry_after=RETRY_AFTER_SECONDS)
    if network is not None:
        if network.is_taken:
            raise RequestError(409, f'source: another client is sending for "{name}"; one at a time can')
        if network.is_full:
            sentence = f'source: what other clients have sent for "{name}" is still to be heard'
            raise RequestError(503, sentence, retry_after=RETRY_AFTER_SECONDS)
        return network
    choice = f"sound can be sent for {', '.join(networks)}" if networks else 'no source has kind = "network"'
    if name in names:
        raise RequestError(400, f'source: "{name}" is not of kind "network", so it takes no sound; {choice}')
    hint = did_you_mean(name, networks)
    raise RequestError(404, f'source: there is no "{name[:64]}"; {f"{hint} " if hint else ""}{choice}')


class SenderConversation:
    """One client that sends sound."""

    def __init__(self, network: Network, announced: Announced) -> None:
        self._network = network
        self._announced = announced
        self._feed: Feed | None = None

    async def converse(self, connection: WebSocketConnection) -> None:
        """Take the client's sound until one of the two ends."""
        peer = connection.remote_address
        client, said = str(peer[0]) if isinstance(peer, tuple) else "a client", self._announced
        sound = Sound(said.rate, said.channels, said.format, said.lost)
        self._feed = feed = self._network.connect(client, sound)
        if feed is None:  # two came at the same moment
            connection.end(TRY_AGAIN_LATER, "another client is sending")
            return
        try:
            while not feed.has_turn and not self._network.closed:
                await asyncio.sleep(CHECK_SECONDS)
            log.info("%s sends sound for %s", client, said.source)
            feed.begin()
            await self._receive(connection, feed)
        finally:
            ended = connection.close_code in (NORMAL_CLOSURE, GOING_AWAY, NO_STATUS)
            feed.end("has ended" if ended else "was cut off")
            log.info("%s sends no sound for %s any more; it was held back for %.1f s", client, said.source, feed.held)

    async def _receive(self, connection: WebSocketConnection, feed: Feed) -> None:
        while not self._network.closed:
            try:
                async with asyncio.timeout(CHECK_SECONDS):
                    message = await connection.recv()
            except TimeoutError:
                feed.idle()
                continue
            except ConnectionClosed:
                return
            if isinstance(message, str):
                connection.end(UNSUPPORTED_DATA, "sound is sent in binary messages")
                return
            if not await self._deliver(message, feed):
                feed.idle()  # an empty message is no sound
        connection.end(GOING_AWAY, "the source was paused or removed")

    async def _deliver(self, message: bytes, feed: Feed) -> bool:
        """Deliver a message, and wait where the client is too fast. Nothing more is read from it meanwhile.

        Returns whether there was sound in it.
        """
        delivered = False
        for piece in feed.pieces(message):
            while seconds := feed.wait():
                if self._network.closed:
                    return delivered
                await asyncio.sleep(min(seconds, CHECK_SECONDS))
            feed.put(piece)
            delivered = True
        return delivered

    def paused(self) -> None:
        """Nothing is written to the client but answers to its pings."""

    def resumed(self) -> None: ...

    def ended(self) -> None:
        """Let another client come: what this one sent is delivered to its end before."""
        if self._feed is not None:
            self._feed.has_gone = True
