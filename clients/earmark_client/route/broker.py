"""Publishes one message to an MQTT broker. Needs the extra `mqtt` (aiomqtt)."""

from __future__ import annotations

import asyncio
import logging
import ssl
from importlib.util import find_spec

from earmark.columns import printable
from earmark_client.routing.outcome import Outcome
from earmark_client.routing.settings import Mqtt

MISSING = "aiomqtt is not installed; run: pip install 'earmark[mqtt]'"
REFUSED = (4, 5, 134, 135)  # codes of a broker that knows who it is and does not let them in: of MQTT 3.1.1, and of 5


def is_there() -> bool:
    """Return whether aiomqtt is installed."""
    return find_spec("aiomqtt") is not None


async def publish(settings: Mqtt, password: str | None, topic: str, payload: str, timeout: float) -> Outcome:
    """Connect, publish and disconnect once, within `timeout` seconds. With `qos` 1 or 2, the broker confirms it."""
    if not is_there():
        return Outcome("failed", MISSING)
    import aiomqtt

    where = f"{settings.host}:{settings.port or (8883 if settings.tls else 1883)}"
    quiet = logging.Logger("earmark.route.mqtt", logging.CRITICAL + 1)  # what fails is told by the outcome
    try:
        async with asyncio.timeout(timeout):
            async with aiomqtt.Client(
                settings.host,
                settings.port or (8883 if settings.tls else 1883),
                username=settings.username or None,
                password=password,
                timeout=timeout,
                logger=quiet,
                tls_context=ssl.create_default_context() if settings.tls else None,
            ) as client:
                await client.publish(topic, payload, qos=settings.qos, retain=settings.retain)
    except TimeoutError:
        return Outcome("timeout", f"{where} did not answer within {timeout:g} s", again=True)
    except aiomqtt.MqttCodeError as error:
        code = getattr(error.rc, "value", error.rc)
        return Outcome("failed", f"{where}: {printable(str(error))}", again=code not in REFUSED)
    except aiomqtt.MqttError as error:
        final = "CERTIFICATE_VERIFY_FAILED" in str(error)
        return Outcome("failed", f"{where}: {printable(str(error))}", again=not final)
    except asyncio.CancelledError:
        return Outcome("stopped", "the router ended before the broker answered")
    return Outcome("done")
