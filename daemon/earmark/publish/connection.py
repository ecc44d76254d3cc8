"""One connection to an MQTT broker, through aiomqtt, from its beginning to its end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from earmark.publish.login import Login
from earmark.publish.present import OFFLINE

if TYPE_CHECKING:
    import aiomqtt

CONNECT_SECONDS = 4.0  # for the broker to take a connection, and again for it to answer
ANSWER_SECONDS = 10.0  # for it to answer what it is sent
KEEPALIVE_SECONDS = 20  # after half as much again without a sign of life, the broker publishes the last will
GIVE_UP_SECONDS = 0.5  # at the end, where there is no connection

library_log = logging.getLogger("earmark.publish.library")
library_log.setLevel(logging.CRITICAL)  # what it says of a broken connection is said by the publisher


@contextlib.asynccontextmanager
async def connection(login: Login, status: str, qos: int) -> AsyncIterator[aiomqtt.Client]:
    """Connect, and at the end tell under the topic `status` that the daemon is offline, and disconnect.

    Raises MqttError, OSError or TimeoutError if the broker does not take the connection.
    """
    import aiomqtt  # of an extra

    await _reach(login)
    client = _client(login, status, qos)
    entering = asyncio.create_task(client.__aenter__())
    try:
        await asyncio.shield(entering)
    except BaseException:
        # The library must not be cancelled while it connects, and leaves its socket open if that fails
        await asyncio.wait([entering])
        with contextlib.suppress(Exception):
            entering.exception()  # which is raised or given up
            async with asyncio.timeout(GIVE_UP_SECONDS):
                await client.__aexit__(None, None, None)
        raise
    client.timeout = ANSWER_SECONDS
    try:
        yield client
    finally:
        client.timeout = GIVE_UP_SECONDS
        with contextlib.suppress(aiomqtt.MqttError):  # a broker that is told of the end forgets the last will
            await client.publish(status, OFFLINE, qos, retain=True)
        await client.__aexit__(None, None, None)


async def _reach(login: Login) -> None:
    """See that the broker takes connections.

    The library connects on a thread, for which the daemon's end would have to wait: so first on this one.
    """
    async with asyncio.timeout(CONNECT_SECONDS):
        _, writer = await asyncio.open_connection(login.host, login.port, ssl=login.tls)
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def _client(login: Login, status: str, qos: int) -> aiomqtt.Client:
    import aiomqtt

    return aiomqtt.Client(
        login.host,
        login.port,
        username=login.username,
        password=login.password,
        identifier=login.client_id,
        tls_context=login.tls,
        will=aiomqtt.Will(status, OFFLINE, qos, retain=True),
        clean_session=True,
        timeout=CONNECT_SECONDS,
        keepalive=KEEPALIVE_SECONDS,
        logger=library_log,
    )
