"""Every setting, its default and its limits.

`config/earmark.toml` shows the same with comments; a test holds the two together. All structs are frozen: a
change of configuration is a new Config. Units are in the names, or in the comment beside the field.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from earmark.config.labels import REJECTED, TEMPLATE

Name = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}\Z", description="a name (letters, digits, - and _, 64 at most)")
]
ModelId = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9._-]{1,96}(/[A-Za-z0-9._-]{1,96})?\Z",
        description="the id of a model (NAME or ORG/NAME, of letters, digits, dots, - and _)",
    ),
]
Text = Annotated[str, Meta(pattern=r"^[^\x00]*\Z")]  # no system call takes the character NUL
FilePath = Annotated[str, Meta(pattern=r"^[^\x00]+\Z", description="the path of a file or folder")]
Quiet = tuple[Text, ...]  # local times in which the source is paused: "22:00-07:00", "sat,sun 00:00-24:00"
Device = Annotated[
    str,
    Meta(pattern=r"^(auto|cpu|mps|cuda(:[0-9]{1,3})?)\Z", description="a device (auto, cpu, mps, cuda or cuda:N)"),
]
Endpoint = Annotated[
    str,
    Meta(pattern=r"^[^\s/@\x00]+:[0-9]{1,5}\Z", description="an endpoint (HOST:PORT)"),
]
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
Rate = Annotated[int, Meta(ge=1000, le=768_000, description="a sample rate (Hz, 1000 to 768000)")]
Channels = Annotated[int, Meta(ge=1, le=64)]
Unit = Annotated[float, Meta(ge=0, le=1)]
# Each number has both limits: without an upper one, `inf` and integers of a hundred digits would be valid
Count = Annotated[int, Meta(ge=1, le=1_000_000)]
NotNegative = Annotated[float, Meta(ge=0, le=86_400)]
Roll = Annotated[float, Meta(ge=0, le=30)]
Milliseconds = Annotated[int, Meta(ge=0, le=600_000)]

DEFAULT_MODEL = "earmark/commands"


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all groups of settings: frozen, and an unknown key is an error."""


class Server(Settings, frozen=True):
    """The one port, for HTTP and WebSocket."""

    listen: Text = "127.0.0.1:8765"  # HOST:PORT; port 0 takes a free one
    insecure: bool = False  # allow a non-loopback address without tokens or without TLS
    token_file: Text = ""  # of `earmark token`, mode 0600; clients must show a token of it. Empty: none is needed
    certificate_file: Text = ""  # PEM, with the chain; the port then speaks TLS. Empty: it speaks none
    key_file: Text = ""  # of the certificate, PEM, mode 0600
    allow_hosts: tuple[Text, ...] = ()  # further Host headers to answer, besides the address itself
    allow_origins: tuple[Text, ...] = ()  # web pages that may connect, "https://example.org"
    trusted_proxies: tuple[Text, ...] = ()  # addresses or networks of proxies whose X-Forwarded-... are believed
    prefix: Text = ""  # path at which a proxy serves the daemon, "/earmark"
    max_subscribers: Count = 5000
    max_per_address: Count = 256  # connections from one address; those from this machine are not counted
    # Of WebSockets, a second: all clients, one address (this machine has no limit), one client
    handshakes_per_second: Count = 500
    handshakes_per_address: Count = 20
    messages_per_second: Count = 2000
    messages_per_address: Count = 500
    messages_per_client: Count = 100
    pings_per_second: Count = 2000
    pings_per_address: Count = 200
    pings_per_client: Count = 10
    backlog: Count = 1000  # events kept for a slow subscriber
    recent: Annotated[int, Meta(ge=0, le=100_000)] = 2000  # events in memory for clients that come back; 0: none
    absent_after: NotNegative = 30.0  # seconds without any source, after which /ready says so; 0: never


class Http(Settings, frozen=True):
    """Clips that clients post. MB are 10^6 bytes."""

    max_body_mb: Count = 64  # of a request, as it is sent
    max_seconds: Annotated[float, Meta(gt=0, le=1_000_000)] = 3600.0  # of a clip
    max_decoded_mb: Count = 1300  # of a clip decoded, all channels: an hour of stereo at 44.1 kHz is 1270
    memory_mb: Count = 512  # of bodies and mono clips that wait: half for each
    queue: Count = 256  # requests at the same time; further ones get status 429
    window: Annotated[float, Meta(ge=1, le=60)] = 30.0  # seconds in one go for a model without a limit of its own
    wait: Annotated[float, Meta(ge=1, le=3600)] = 120.0  # seconds that a request waits for a model or an answer
    decoders: Annotated[int, Meta(ge=1, le=64)] = 2  # threads that decode
    cache_mb: Annotated[int, Meta(ge=0, le=1_000_000)] = 32  # of answers kept; 0: none


class Remote(Settings, frozen=True):
    """Servers of the Open Inference Protocol over gRPC, which run the models in place of the process here."""

    endpoints: tuple[Endpoint, ...] = ()  # HOST:PORT each
    in_flight: Annotated[int, Meta(ge=1, le=64)] = 4  # batches at one endpoint at most
    application: Text = ""  # of Ray Serve; {model} stands for the id of the model, with - for its slash
    names: dict[ModelId, Text] = {}  # the name of a model at the endpoints, where it is another one
    token_file: Text = ""  # sent as `authorization: Bearer`; read for each call
    tls: bool = False
    ca_file: Text = ""  # that vouches for the endpoints; empty: what the system trusts
    tls_name: Text = ""  # in their certificate, where it is not their address


class Worker(Settings, frozen=True):
    """The process that runs the models."""

    engine: Literal["auto", "onnx", "torch", "oip"] = (
        "auto"  # auto: onnx on a CPU where a model's folder holds the file; oip: `remote` runs the models
    )
    device: Device = "auto"  # cuda:N is the GPU number N, from 0
    precision: Literal["auto", "fp32", "bf16", "int8"] = "auto"  # auto: bf16 on CUDA, else fp32
    threads: Annotated[int, Meta(ge=0, le=1024)] = 0  # of a model on the CPU; 0: as many as are fastest
    max_batch: Annotated[int, Meta(ge=1, le=1024)] = 32
    max_age: Annotated[float, Meta(ge=0.1, le=3600)] = (
        2.0  # seconds after which a live window is dropped instead of classified
    )
    max_wait_ms: Milliseconds = 0  # how long a batch may wait for more windows; 0: not at all
    queue: Count = 1024  # live windows that wait at most; beyond it the oldest is dropped
    depth: Annotated[int, Meta(ge=1, le=2)] = 2  # batches with the process; 2: a full one of live windows goes ahead
    timeout: Annotated[float, Meta(gt=0, le=86_400)] = 30.0  # seconds for one batch, then the worker counts as hung
    fallback: Literal["none", "cpu"] = "none"  # cpu: run the models there while the GPU or the endpoints fail
    memory_mb: Annotated[int, Meta(ge=0, le=10_000_000)] = 0  # resident, then the process is replaced; 0: no bound
    spare: bool = True  # Linux: a process that has imported the engines waits, so that another one can serve at once
    remote: Remote = Remote()  # with engine = "oip"


class Microphone(Settings, frozen=True, tag_field="kind", tag="microphone"):
    """A sound device, through PortAudio."""

    name: Name
    device: Text = "default"  # "default", a name or part of one, or /a regular expression/
    rate: Rate | None = None  # Hz; absent: the classifiers' rate where the device allows
    channels: Channels = 1  # mixed to mono
    channel: Channels | None = None  # only this one of them, from 1; as many are opened as that takes
    follow: bool = False  # go on with the other device where the sound server moves the stream to
    quiet: Quiet = ()


class File(Settings, frozen=True, tag_field="kind", tag="file"):
    """A recording, at real time or flat out."""

    name: Name
    path: FilePath
    fast: bool = False  # flat out, with backpressure: nothing is dropped
    loop: bool = False
    channel: Channels | None = None  # only this one, from 1; absent: all, mixed to mono
    quiet: Quiet = ()


class Command(Settings, frozen=True, tag_field="kind", tag="command"):
    """Raw PCM from a program's standard output."""

    name: Name
    argv: Annotated[tuple[Text, ...], Meta(min_length=1)]  # program and arguments; no shell
    rate: Rate = 16000
    channels: Channels = 1  # mixed to mono
    channel: Channels | None = None  # only this one of them, from 1
    format: Literal["s16le", "s32le", "f32le"] = "s16le"
    stall_s: Annotated[float, Meta(ge=0.1, le=3600)] = 2.0  # without sound, after that which came ahead of its time
    quiet: Quiet = ()


class Network(Settings, frozen=True, tag_field="kind", tag="network"):
    """Sound that a client sends over the network, in the form that it announces."""

    name: Name
    channel: Channels | None = None  # only this one, from 1, if the client sends it; absent: all, mixed to mono
    stall_s: Annotated[float, Meta(ge=0.1, le=3600)] = 5.0  # of a connected client without sound
    quiet: Quiet = ()


Source = Microphone | File | Command | Network


Function = Literal["softmax", "sigmoid", "none"]
"""What turns the logits of a model into scores."""


class Model(Settings, frozen=True):
    """A checkpoint and the name that classifiers and HTTP requests use for it."""

    name: ModelId
    path: FilePath | None = None  # a folder in the Hugging Face layout; absent: `name` is a Hub id, fetched before
    revision: Text | None = None  # without a path: a commit of 40 digits, a branch or a tag; absent: main
    aliases: tuple[ModelId, ...] = ()  # further names, for HTTP requests
    function: Function | None = None  # from logits to scores; absent: what the checkpoint says
    labels: tuple[Text, ...] = ()  # the names of its scores, in their order; empty: what the checkpoint says
    default: bool = False  # answers requests that name no model; without any, the first classifier's model does


HANGOVER_MS = {"utterance": 128, "sliding": 500}
"""The default of `hangover_ms`, by mode. It is short for utterances (four steps of the speech gate), because a command
must be answered at once, and long for sliding windows, because a breath must not end a label."""


class Vad(Settings, frozen=True):
    """How a gate opens and closes."""

    threshold: Unit = 0.5  # speech: probability at which the gate opens; it closes below threshold - 0.15
    level_db: Annotated[float, Meta(gt=0, le=60)] = 10.0  # level: dB above the noise floor that count as sound
    min_speech_ms: Milliseconds = 64
    hangover_ms: Milliseconds = 0  # silence after which the sound counts as ended; 0: as HANGOVER_MS says
    pre_roll_ms: Milliseconds = 300  # audio from before the onset that belongs to an utterance
    max_ms: Milliseconds = 10_000  # a longer sound is cut; 0: never


class Decide(Settings, frozen=True):
    """From scores to labels that go on and off."""

    on: Unit = 0.8  # score at which a label goes on
    off: Unit = 0.45  # sliding: score below which it goes off
    margin: Unit = 0.1  # utterance: lead over the runner-up
    longest: NotNegative = 0.0  # utterance, seconds: a longer one is no label; 0: the model's own window
    smooth: Annotated[int, Meta(ge=1, le=100)] = 3  # sliding: windows in the mean
    hits: Annotated[int, Meta(ge=1, le=100)] = 2  # sliding: windows over `on` in a row before it goes on
    min_sound: Unit = 0.2  # sliding: share of a window after the onset from which on its scores count
    min_on: NotNegative = 1.0  # sliding, seconds: a label stays on at least so long after it was published
    max_on: NotNegative = 0.0  # sliding, seconds: then it goes off with "timeout"; 0: never
    refractory_ms: Milliseconds = 400  # utterance: the same label does not fire again so soon
    exclusive: bool = True  # sliding: one label at a time
    ignore: tuple[str, ...] = REJECTED  # labels that never go on
    labels: dict[str, Unit] = msgspec.field(default_factory=dict)  # per label: its own `on`


class Verify(Settings, frozen=True):
    """A second look: another model must confirm a label before it goes on."""

    model: ModelId
    sure: Unit = 1.0  # score from which on a label needs no second look
    on: Unit = 0.5  # score of the other model that confirms a label
    labels: dict[str, tuple[str, ...]] = {}  # per label: those of the other model that confirm it; []: needs none


class Classifier(Settings, frozen=True):
    """A model, the sources that it hears, and the rules for its scores."""

    name: Name
    model: ModelId = DEFAULT_MODEL
    sources: tuple[Name, ...] = ()  # empty: all
    gate: Literal["speech", "level", "open"] = "speech"
    mode: Literal["utterance", "sliding"] = "utterance"
    window: NotNegative = 0.0  # seconds; 0: the model's own length, else 1.0
    max_window: NotNegative = 0.0  # utterance, seconds: a longer one is cut to it; 0: the model's own limit
    hop: Annotated[float, Meta(ge=0.01, le=3600)] = 1.0  # sliding, seconds from window to window
    labels: tuple[str, ...] = ()  # of a model that takes them at run time: what it shall tell apart, in words
    background: tuple[str, ...] = ()  # such labels that never go on: what else there is to hear
    template: str = TEMPLATE  # the text that such a model reads for a label, which stands in place of {}
    top_k: Annotated[int, Meta(ge=0, le=1_000_000)] = 5  # labels in a result event; 0: all
    clips: tuple[str, ...] = ()  # labels whose sound is kept on the disk when they go on; "*": all of them
    groups: dict[str, tuple[str, ...]] = {}  # labels of the model that stand as one, by the name of that one
    vad: Vad = Vad()
    decide: Decide = Decide()
    verify: Verify | None = None

    @property
    def models(self) -> tuple[str, ...]:
        """The names of the models that it needs."""
        return (self.model,) if self.verify is None else (self.model, self.verify.model)


class Journal(Settings, frozen=True):
    """Events that are kept on the disk: labels and scores, never sound. MB are 10^6 bytes."""

    path: Text = ""  # a folder; empty: that of the service manager, else ~/.local/state/earmark
    max_age_days: Annotated[float, Meta(gt=0, le=36_500)] = 30.0
    max_mb: Annotated[int, Meta(ge=32, le=10_000_000)] = 1024  # on the disk, all files together


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


class Clips(Settings, frozen=True):
    """Sound that is kept of the labels that classifiers name in `clips`. MB are 10^6 bytes."""

    path: Text = ""  # a folder; empty: `clips` in that of the service manager, else in ~/.local/state/earmark
    pre_roll: Roll = 1.0  # seconds from before the label's beginning
    post_roll: Roll = 0.5  # seconds after its end
    max_seconds: Annotated[float, Meta(ge=1, le=300)] = 30.0  # a label that lasts longer is cut
    max_age_days: Annotated[float, Meta(gt=0, le=36_500)] = 7.0
    max_mb: Annotated[int, Meta(ge=16, le=10_000_000)] = 500  # on the disk, all clips together

    @property
    def longest(self) -> float:
        """The length of the longest clip in seconds."""
        return self.pre_roll + self.max_seconds


class Config(Settings, frozen=True):
    """The whole configuration. Without sources: the default microphone; without classifiers: voice commands."""

    server: Server = Server()
    http: Http = Http()
    worker: Worker = Worker()
    journal: Annotated[bool | Journal, Meta(description="true, false or a table [journal]")] = Journal()
    clips: Clips = Clips()
    ring: Annotated[float, Meta(ge=5, le=600)] = 20.0  # seconds of sound kept per source
    source: tuple[Source, ...] = (Microphone(name="microphone"),)
    model: tuple[Model, ...] = ()
    classifier: tuple[Classifier, ...] = (Classifier(name="commands"),)
    publish: tuple[Publish, ...] = ()
    gateway: Gateway | None = None  # for `earmarkd --gateway` alone
