"""Does what a route says for one event, and tries again where that may help."""

from __future__ import annotations

import asyncio
import dataclasses
import shlex
import sys
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import msgspec

from earmark_client.programs import variables
from earmark_client.route import broker, program, webhook
from earmark_client.routing import notification, template
from earmark_client.routing.decide import late
from earmark_client.routing.outcome import Outcome, pause_before
from earmark_client.routing.route_queue import Job
from earmark_client.routing.settings import Route


class Performer:
    """Performs the actions of routes. `secrets` are the contents of their files, by path.

    `environment` is that of the router; programs do not get its variables EARMARK_..., one of which is the token.
    """

    def __init__(
        self,
        folder: str,
        environment: Mapping[str, str],
        secrets: Mapping[str, str],
        utc: Callable[[], datetime],
        jitter: Callable[[float], float],
    ) -> None:
        self.secrets = secrets
        self._folder = folder
        self._environment = {name: value for name, value in environment.items() if not name.startswith("EARMARK_")}
        self._utc = utc
        self._jitter = jitter

    async def perform(self, job: Job) -> tuple[Outcome, int]:
        """Return how the action ended, and how many tries it took. A cancelled one ends as `stopped`."""
        tries = 0
        while True:
            tries += 1
            try:
                outcome = await self._once(job)
            except (OSError, ValueError) as error:  # a disk that is full, a host that is none
                outcome = Outcome("failed", f"{type(error).__name__}: {error}")
            if not outcome.again or tries > job.route.retries:
                return outcome, tries
            pause = self._jitter(pause_before(tries, outcome))
            if late(job.route, job.event, self._utc() + timedelta(seconds=pause)):
                detail = f"{outcome.detail}; another try would be later than max_age allows"
                return dataclasses.replace(outcome, detail=detail), tries
            try:
                await asyncio.sleep(pause)
            except asyncio.CancelledError:
                return Outcome("stopped", f"{outcome.detail}; the router ended before the next try"), tries

    async def _once(self, job: Job) -> Outcome:
        route, values = job.route, template.fields(job.event, job.route.name, job.event_id)
        if route.webhook is not None:
            body = job.text.encode()
            key = webhook.key_of(self.secrets[route.secret_file]) if route.secret_file else None
            timestamp = int(self._utc().timestamp())
            sent = webhook.headers(f"{job.event_id}:{route.name}", timestamp, body, key)
            return await webhook.post(route.webhook, sent, body, route.timeout)
        if route.mqtt is not None:
            password = self.secrets.get(route.mqtt.password_file)
            payload = job.text if route.mqtt.payload is None else template.fill(route.mqtt.payload, values)
            topic = template.topic(route.mqtt.topic, values)
            return await broker.publish(route.mqtt, password, topic, payload, route.timeout)
        return await program.run(
            arguments(route, values), self._variables(job), f"{job.text}\n", self._folder, route.timeout
        )

    def _variables(self, job: Job) -> dict[str, str]:
        event = variables(msgspec.json.decode(job.text))
        return self._environment | dict(event) | {"EARMARK_ROUTE": job.route.name, "EARMARK_EVENT_ID": job.event_id}


def arguments(route: Route, values: Mapping[str, str], platform: str = sys.platform) -> tuple[str, ...]:
    """Return the program and the arguments of a route with `run` or `notify`."""
    if route.run is not None:
        return (route.run[0], *(template.fill(part, values) for part in route.run[1:]))
    text = notification.TEXT if route.notify is True else str(route.notify)
    return notification.arguments(template.fill(text, values), platform)


def shown(route: Route, values: Mapping[str, str] | None = None) -> str:
    """Return what a route does, for people. Of a URL it is the host alone: paths of webhooks are often secrets.

    With the fields of an event, a program has all of its arguments.
    """
    if route.run is not None:
        return route.run[0].rpartition("/")[2] if values is None else shlex.join(arguments(route, values))
    if route.webhook is not None:
        return urlsplit(route.webhook).hostname or ""
    if route.mqtt is not None:
        return f"mqtt {route.mqtt.host}" + ("" if values is None else f" {template.topic(route.mqtt.topic, values)}")
    return "notification"
