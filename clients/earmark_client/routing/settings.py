"""The settings of a routes file, their defaults and their limits. Units are in the comment beside each field."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Name = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}\Z", description="a name (letters, digits, - and _, 64 at most)")
]
Text = Annotated[str, Meta(pattern=r"^[^\x00]*\Z")]  # no system call takes the character NUL
FilePath = Annotated[str, Meta(pattern=r"^[^\x00]+\Z", description="the path of a file")]
# Without limits: with a pattern in both of its parts, msgspec 0.22 crashes now and then when the process ends
OneOrMore = str | tuple[str, ...]
Unit = Annotated[float, Meta(ge=0, le=1, description="a score (0 to 1)")]
# Each number has both limits: without an upper one, `inf` would be valid
Seconds = Annotated[float, Meta(gt=0, le=3600, description="a time (seconds, more than 0, 3600 at most)")]
Age = Annotated[float, Meta(gt=0, le=2_592_000, description="an age (seconds, more than 0, 30 days at most)")]
Pause = Annotated[float, Meta(ge=0, le=86_400, description="a time (seconds, 0 to 86400)")]
Count = Annotated[int, Meta(ge=1, le=64, description="a number (1 to 64)")]
Room = Annotated[int, Meta(ge=0, le=1000, description="a number (0 to 1000)")]
Tries = Annotated[int, Meta(ge=0, le=20, description="a number (0 to 20)")]
Port = Annotated[int, Meta(ge=1, le=65_535, description="a port (1 to 65535)")]


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all tables: frozen, and an unknown key is an error."""


class Daemon(Settings, frozen=True):
    """The daemon whose labels are routed."""

    url: Text = ""  # HOST:PORT or a URL; empty: EARMARK_URL, or else the daemon on this machine
    token_file: Text = ""  # a file with the token, mode 0600; empty: EARMARK_TOKEN, or else none


class Filter(Settings, frozen=True):
    """Names to choose by. Of each kind that is given, one must be the event's."""

    label: OneOrMore = ()
    source: OneOrMore = ()
    classifier: OneOrMore = ()


class Mqtt(Settings, frozen=True):
    """A message to an MQTT broker. `topic` and `payload` may have placeholders."""

    host: Text
    topic: Annotated[str, Meta(pattern=r"^[^\x00#+]+\Z", description="a topic without # and +")]
    port: Port | None = None  # None: 1883, or 8883 with TLS
    payload: Text | None = None  # None: the event as JSON
    retain: bool = False
    qos: Literal[0, 1, 2] = 1
    username: Text = ""
    password_file: Text = ""
    tls: bool = False  # the broker's certificate is verified


class Route(Settings, frozen=True):
    """Which events a route takes, and what it does then: `run`, `webhook`, `mqtt` or `notify`."""

    name: Name
    label: OneOrMore = ()  # empty: every label
    source: OneOrMore = ()
    classifier: OneOrMore = ()
    only: Filter = Filter()
    except_: Filter = msgspec.field(name="except", default=Filter())
    on: Literal["on", "off", "both"] = "on"  # a label that begins, ends, or both
    min_score: Unit = 0.0  # of an `off`: its peak
    between: OneOrMore = ()  # local times: "22:00-07:00", "sat,sun 08:00-12:00"
    after: OneOrMore = ()  # one of these labels must have been heard by the same source just before
    within: Seconds = 3.0  # from the end of that label's sound to the beginning of this one's
    first_of_day: bool = False
    refractory: Pause = 0.0  # seconds after an action in which there is no other

    run: tuple[Text, ...] | None = None  # a program and its arguments
    webhook: Text | None = None  # a URL
    mqtt: Mqtt | None = None
    notify: bool | Text = False  # a desktop notification; a text may have placeholders

    secret_file: Text = ""  # signs the requests of a webhook
    retries: Tries = 5  # further tries of a webhook or MQTT message that failed
    retry: bool = False  # do again what was running when the router died: webhook and mqtt only
    timeout: Seconds = 10.0  # of one run of a program or one try of a request
    max_age: Age = 10.0  # no action begins later than this after its event
    at_once: Count = 1  # actions of this route at the same time; more than one may end in another order
    queue: Room = 10  # events that wait for those
    when_full: Literal["oldest", "newest"] = "oldest"  # which one is dropped


class Routes(Settings, frozen=True):
    """A whole routes file."""

    daemon: Daemon = Daemon()
    route: tuple[Route, ...] = ()


def listed(value: OneOrMore) -> tuple[str, ...]:
    """Return one name or several as several."""
    return (value,) if isinstance(value, str) else value
