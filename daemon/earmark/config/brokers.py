"""The settings of brokers: where events are sent, and where a gateway has them from."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from earmark.config.types import Count, Name, NotNegative, Settings, Text

Topic = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9._-]{1,64}(/[A-Za-z0-9._-]{1,64}){0,7}\Z",
        description="the beginning of a topic (letters, digits, dots, - and _, with / between levels)",
    ),
]
Node = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9_-]{0,64}\Z", description="a name (letters, digits, - and _, 64 at most)")
]


class Mqtt(Settings, frozen=True, tag_field="kind", tag="mqtt"):
    """An MQTT broker that is sent what is heard, and Home Assistant behind it. 1 kB is 1,000 bytes."""

    name: Name = "mqtt"  # in the log and in the metrics
    host: Annotated[Text, Meta(min_length=1, description="the name or address of a broker")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535)] = 0  # 0: 1883, with TLS 8883
    username: Text = ""  # empty: none is told
    password_file: Text = ""  # its first line is the password; mode 0600
    tls: bool = False
    ca: Text = ""  # certificates to trust, in PEM; empty: those of the system
    client_id: Text = ""  # empty: earmark-NODE
    node: Node = ""  # this daemon among others, in topics and identities; empty: the name of the machine
    prefix: Topic = "earmark"
    qos: Annotated[int, Meta(ge=0, le=2)] = 1  # of all but results, which have 0
    retain: bool = True  # have the broker keep states, so that who comes later gets them at once
    results: bool = True  # send scores, too
    every: NotNegative = 1.0  # seconds: at most one result per source and classifier in that time, the newest
    late: NotNegative = 10.0  # seconds after which a command or result that waited for the broker is not sent any more
    outbox: Count = (
        1000  # messages that wait for the broker at most; then the oldest results are dropped, then commands
    )
    outbox_kb: Count = 1000
    labels: Annotated[int, Meta(ge=0, le=1000)] = (
        32  # per classifier: those that have a topic and a sensor of their own
    )
    discovery: bool = True  # announce all of it to Home Assistant
    discovery_prefix: Topic = "homeassistant"


class NatsServers(Settings, frozen=True):
    """Where NATS is, who comes there, and the stream of events."""

    servers: Annotated[tuple[Text, ...], Meta(min_length=1)] = ("nats://127.0.0.1:4222",)  # tried in turn; tls:// too
    username: Text = ""  # empty: none is told
    password_file: Text = ""  # its first line is the password; mode 0600
    token_file: Text = ""  # its first line is the token; mode 0600
    credentials_file: Text = ""  # of `nsc`, with the user's JWT and seed; mode 0600
    tls: bool = False  # encrypt, and check the servers' certificates
    ca: Text = ""  # certificates to trust, in PEM; empty: those of the system
    stream: Name = "EARMARK"


class Nats(NatsServers, frozen=True, tag_field="kind", tag="nats"):
    """A stream of NATS JetStream that is sent every event. 1 kB is 1,000 bytes, and 1 MB 10^6."""

    name: Name = "nats"  # in the log and in the metrics
    node: Node = ""  # this daemon among others, in subjects; empty: the name of the machine
    prefix: Name = "earmark"  # the beginning of all subjects
    max_age_days: Annotated[float, Meta(gt=0, le=36_500)] = 7.0  # of a stream that is made: how long it keeps events
    max_mb: Annotated[int, Meta(ge=1, le=100_000_000)] = 1024  # of a stream that is made
    replicas: Annotated[int, Meta(ge=1, le=5)] = 1  # of a stream that is made: servers that keep it
    in_flight: Count = 256  # events that are sent and whose receipt is not known, at most
    outbox: Count = 10_000  # events in memory that wait at most; what is older is read from the journal, or lost
    outbox_kb: Count = 10_000


Publish = Mqtt | Nats


class Gateway(NatsServers, frozen=True):
    """`earmarkd --gateway`: events come from NATS instead of microphones."""

    nodes: tuple[Name, ...] = ()  # daemons whose events are served; empty: all
    sources: tuple[Name, ...] = ()  # sources whose events are served, whatever their daemon; empty: all
    prefix: Name = "earmark"  # the beginning of all subjects, as the daemons have it
    qualify: bool = False  # call sources NODE/SOURCE, so that those of several daemons differ
    absent_after: Annotated[float, Meta(ge=1, le=86_400)] = (
        60.0  # seconds after which a silent daemon's sources are lost
    )
