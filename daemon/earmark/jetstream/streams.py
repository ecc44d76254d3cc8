"""The streams at the server: made where they are missing, asked where they are there."""

from __future__ import annotations

import logging

from earmark.config.brokers import Nats
from earmark.jetstream.connection import Connection
from earmark.jetstream.subjects import ID, MessageId

DAY = 86_400.0  # seconds
DUPLICATES_SECONDS = 120.0  # in which the server knows a message again by its id

log = logging.getLogger(__name__)


async def ensure(connection: Connection, settings: Nats, stream: str, subject: str, *, last_only: bool = False) -> None:
    """Make the stream with the limits of the settings, unless it is there: then it is left alone.

    With `last_only` it keeps one message of each subject. Raises what sentence() explains.
    """
    import nats.js.api as api  # of an extra
    import nats.js.errors

    try:
        await connection.jetstream.stream_info(stream)
        return
    except nats.js.errors.NotFoundError:
        pass
    age = settings.max_age_days * DAY
    await connection.jetstream.add_stream(
        api.StreamConfig(
            name=stream,
            subjects=[subject],
            max_age=age,
            max_bytes=settings.max_mb * 1_000_000,
            max_msgs_per_subject=1 if last_only else -1,
            num_replicas=settings.replicas,
            duplicate_window=min(DUPLICATES_SECONDS, age),
        )
    )
    log.info("NATS had no stream %s; it was made for %s", stream, subject)


async def last_of(connection: Connection, stream: str, subjects: str) -> MessageId | None:
    """Return the id of the last message of these subjects, or None where there is none or it has no id of ours."""
    import nats.js.errors

    try:
        message = await connection.jetstream.get_last_msg(stream, subjects)
    except nats.js.errors.NotFoundError:
        return None
    return MessageId.parse((message.headers or {}).get(ID, ""))
