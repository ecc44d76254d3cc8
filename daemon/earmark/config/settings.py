"""Every setting, its default and its limits. Those of sources and of brokers are in config.sources and config.brokers.

`config/earmark.toml` shows the same with comments; a test holds the two together. All structs are frozen: a
change of configuration is a new Config. Units are in the names, or in the comment beside the field.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from earmark.config.brokers import Gateway, Publish
from earmark.config.labels import REJECTED, TEMPLATE
from earmark.config.sources import Microphone, Source
from earmark.config.types import Count, FilePath, Milliseconds, ModelId, Name, NotNegative, Settings, Text, Unit

Device = Annotated[
    str,
    Meta(pattern=r"^(auto|cpu|mps|cuda(:[0-9]{1,3})?)\Z", description="a device (auto, cpu, mps, cuda or cuda:N)"),
]
Endpoint = Annotated[
    str,
    Meta(pattern=r"^[^\s/@\x00]+:[0-9]{1,5}\Z", description="an endpoint (HOST:PORT)"),
]
Roll = Annotated[float, Meta(ge=0, le=30)]

DEFAULT_MODEL = "earmark/commands"


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
    names: dict[ModelId, Text] = msgspec.field(
        default_factory=dict
    )  # the name of a model at the endpoints, where it is another one
    token_file: Text = ""  # sent as `authorization: Bearer`; read for each call
    tls: bool = False
    ca_file: Text = ""  # that vouches for the endpoints; empty: what the system trusts
    tls_name: Text = ""  # in their certificate, where it is not their address


class Cuda(Settings, frozen=True):
    """What a GPU of NVIDIA may do to be faster. None of it has been measured on one yet."""

    graphs: Literal["off", "auto"] = "off"  # auto: record what a model launches, where replaying that is faster
    transfers: Literal["plain", "pinned", "overlapped"] = "plain"  # pinned: copies need no detour through the system


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
    cuda: Cuda = Cuda()


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
    labels: dict[str, tuple[str, ...]] = msgspec.field(
        default_factory=dict
    )  # per label: those of the other model that confirm it; []: needs none


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
    groups: dict[str, tuple[str, ...]] = msgspec.field(
        default_factory=dict
    )  # labels of the model that stand as one, by the name of that one
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
