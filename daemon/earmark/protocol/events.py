"""The events of the stream, as `docs/protocol.md` describes them.

Clients import this module, so it needs nothing but the standard library and msgspec.
Fields that are None, UNSET or at their default are left out of the JSON where `omit_defaults` says so.
"""

from __future__ import annotations

from typing import Literal

import msgspec

BAND_LIMITED = "band_limited: "  # begins the detail of a source that listens and does not get what a model takes

SourceState = Literal["starting", "listening", "quiet", "muted", "clipping", "stalled", "lost", "paused", "stopped"]
LossCause = Literal["device", "overflow", "stall", "overload", "worker"]
OffReason = Literal["quiet", "replaced", "timeout", "source_lost", "reload", "paused", "shutdown"]
LabelReason = Literal["quiet", "replaced", "timeout", "source_lost", "reload", "paused", "shutdown", "utterance"]
GapCause = Literal["slow", "too_old", "epoch"]
ConfigCause = Literal["reload", "api"]


class Score(msgspec.Struct, frozen=True):
    """One label and its score, in the field order of the Inference API."""

    score: float
    label: str


class SourceInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """A source as `hello` and `/info` show it. `rate` is the source's own, in Hz; 0 while it is unknown."""

    name: str
    state: SourceState
    device: str = ""
    rate: int = 0
    detail: str = ""


class LabelSet(msgspec.Struct, frozen=True):
    """The labels of a classifier whose model takes them at run time, and the text that it reads for each.

    Those of the `background` share the score with the others and never go on.
    """

    labels: tuple[str, ...]
    background: tuple[str, ...]
    template: str


class ClassifierInfo(msgspec.Struct, frozen=True):
    """A classifier as `hello` and `/info` show it. `window` and `hop` are seconds.

    `ends_in` names the event that tells the end of a label: its `on` (mode `utterance`) or its `off` (mode `sliding`).
    `clips` are the labels whose sound is kept. `label_set` is there where the labels are given at run time; `labels`
    has its background too.
    """

    name: str
    model: str
    labels: tuple[str, ...]
    sources: tuple[str, ...]
    gate: str
    mode: str
    window: float
    hop: float
    ends_in: Literal["on", "off"] = "off"
    clips: tuple[str, ...] = ()
    label_set: LabelSet | msgspec.UnsetType = msgspec.UNSET


class Hello(msgspec.Struct, frozen=True, tag_field="type", tag="hello"):
    """The first message to a subscriber. `seq` is the number of the newest event, `oldest` that of the oldest kept."""

    version: str
    epoch: str
    seq: int
    oldest: int
    sources: tuple[SourceInfo, ...]
    classifiers: tuple[ClassifierInfo, ...]


class SecondLook(msgspec.Struct, frozen=True):
    """What another model said of a label in the same window: its score, and the threshold that confirms the label."""

    model: str
    score: float
    threshold: float


class Unconfirmed(msgspec.Struct, frozen=True):
    """A label that would have gone on if another model had confirmed it, with what that said."""

    label: str
    model: str
    score: float
    threshold: float


class Result(msgspec.Struct, frozen=True, tag_field="type", tag="result", omit_defaults=True):
    """The scores of one window. `start` and `end` are seconds in the source's stream, `lag` those since capture.

    `start_time` and `end_time` are the same places in UTC. `unconfirmed` has the labels that would have gone on if a
    second look had confirmed them.
    """

    seq: int
    time: str
    source: str
    classifier: str
    start: float
    end: float
    final: bool = msgspec.field(default_factory=lambda: False)
    lag: float = msgspec.field(default_factory=lambda: 0.0)
    result: tuple[Score, ...] = msgspec.field(default_factory=lambda: ())
    suppressed: str = ""
    unconfirmed: tuple[Unconfirmed, ...] = ()
    start_time: str = ""
    end_time: str = ""


class Why(msgspec.Struct, frozen=True, omit_defaults=True):
    """The reasons for which a label went on: scores, threshold, the hits seen and needed, and the gate.

    `member` is, where the label is a group, the member with the highest score in the newest window. `second` is the
    second look that confirmed the label, if it needed one.
    """

    raw: float
    smoothed: float
    threshold: float
    hits: int
    needed: int
    gate: str
    member: Score | None = None
    second: SecondLook | None = None


class Label(msgspec.Struct, frozen=True, tag_field="type", tag="label", omit_defaults=True):
    """A label that began (`on`) or ended (`off`).

    Every label ends exactly once, in the event that has an `end` and a `reason`: in an `off` with the `id` of its `on`,
    or, for an utterance, in the `on` itself, with the reason `utterance`.

    `start` and `end` are those of the sound, in seconds of the source's stream; `start_time` and `end_time` are the
    same places in UTC. `lag` is how long after the sound that decided it the event was published, in seconds.
    `clip` is the path at which the sound of the label will be, if it is kept.
    """

    seq: int
    time: str
    source: str
    classifier: str
    id: str
    label: str
    state: Literal["on", "off"]
    start: float
    score: float | None = None
    end: float | None = None
    peak: float | None = None
    reason: LabelReason | None = None
    why: Why | None = None
    lag: float | None = None
    start_time: str = ""
    end_time: str = ""
    clip: str = ""


class Source(msgspec.Struct, frozen=True, tag_field="type", tag="source", omit_defaults=True):
    """A source changed its state."""

    seq: int
    time: str
    source: str
    state: SourceState
    detail: str = ""
    device: str = ""


class Loss(msgspec.Struct, frozen=True, tag_field="type", tag="loss", omit_defaults=True):
    """Sound from `start` to `end`, in seconds of the stream, was not captured or not classified."""

    seq: int
    time: str
    source: str
    start: float
    end: float
    cause: LossCause
    classifier: str = ""
    start_time: str = ""
    end_time: str = ""


class Config(msgspec.Struct, frozen=True, tag_field="type", tag="config"):
    """The daemon was changed while it runs. `sources` and `classifiers` are as a `hello` of this moment has them."""

    seq: int
    time: str
    sources: tuple[SourceInfo, ...]
    classifiers: tuple[ClassifierInfo, ...]
    cause: ConfigCause


class Gap(msgspec.Struct, frozen=True, tag_field="type", tag="gap", rename={"from_": "from"}, omit_defaults=True):
    """The events `from` to `to`, both included, will not reach this subscriber.

    A gateway tells the number of `events` where they are more than the numbers; it is 0 where they are as many.
    """

    from_: int
    to: int
    cause: GapCause
    events: int = 0

    @property
    def missing(self) -> int:
        """How many events are missing."""
        return self.events or max(0, self.to - self.from_ + 1)


class Subscribed(msgspec.Struct, frozen=True, tag_field="type", tag="subscribed"):
    """A change of the filter was taken. `seq` is the number of the newest event."""

    seq: int


class Error(msgspec.Struct, frozen=True, tag_field="type", tag="error"):
    """A message of this client was refused, or the daemon cannot do all that it should; the reason as a sentence."""

    error: str


class GateLevel(msgspec.Struct, frozen=True, omit_defaults=True):
    """A classifier's gate in a `level`. `value` and `threshold` are on its own scale; an `open` gate has neither.

    They are the probability of speech, 0 to 1 (gate `speech`), or dB above the noise floor (gate `level`).
    """

    open: bool
    value: float | None = None
    threshold: float | None = None


class Level(msgspec.Struct, frozen=True, tag_field="type", tag="level"):
    """How loud a source is: RMS and peak of a tenth of a second that ended at `time`, and the noise floor, in dBFS.

    `gates` are by the names of the classifiers. It has no number, is never kept, and comes only to who asks for it.
    """

    source: str
    time: str
    db: float
    peak_db: float
    floor_db: float
    gates: dict[str, GateLevel]


class Tick(msgspec.Struct, frozen=True, tag_field="type", tag="tick"):
    """The daemon lives, and `seq` is the number of its newest event. Every few seconds, to who asks for it."""

    seq: int
    time: str


class Progress(msgspec.Struct, frozen=True, tag_field="type", tag="progress", omit_defaults=True):
    """How far an analysis is, in seconds of the recording, and how long that is if it is known.

    It comes in answers of `POST /v1/analyze` alone, and never in the stream.
    """

    source: str
    heard: float
    of: float | None = None


Numbered = Result | Label | Source | Loss | Config
"""The events that carry a sequence number and go to all subscribers."""

Connection = Hello | Subscribed | Gap | Error
"""The messages about the connection itself. Each subscriber gets its own, whatever its filter says."""

Passing = Level | Tick
"""What has no number and is never kept. It goes to those who name its type, and is left out where one is behind."""

Event = Numbered | Passing | Connection

DEFAULT_TYPES = frozenset({"result", "label", "source", "loss", "config"})
"""What a subscriber gets that names no types."""

CONNECTION_TYPES = frozenset({"hello", "subscribed", "gap", "error"})
TYPES = DEFAULT_TYPES | {"suppressed", "level", "tick"}
"""What `types` may choose. The connection's types may be named too, and are always sent."""

_decoder = msgspec.json.Decoder(Event)
_encoder = msgspec.json.Encoder()


def type_of(event: Event) -> str:
    """Return the name by which `types` chooses the event. A result that says why no label followed is `suppressed`."""
    if isinstance(event, Result) and event.suppressed:
        return "suppressed"
    return str(event.__struct_config__.tag)


def encode(event: Event) -> bytes:
    """Return the event as one JSON object in UTF-8, without line breaks."""
    return _encoder.encode(event)


def decode(data: bytes | str) -> Event:
    """Return the event in `data`. Unknown fields are ignored; an unknown type raises msgspec.ValidationError."""
    event: Event = _decoder.decode(data)
    return event
