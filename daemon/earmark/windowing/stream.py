"""One source on the listening thread: its intake, its tracks, its gates, its cutters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, assert_never

import numpy as np

from earmark.audio.resampled import ResampledRing
from earmark.audio.types import Block, Closed, Opened, Span, Window
from earmark.capture.health import Change, Health
from earmark.capture.intake import Ended, Failed, Intake, Item, Overflowed, Started
from earmark.config.settings import Vad
from earmark.protocol.events import OffReason
from earmark.windowing.gates import LevelGate, SpeechGate, step_all
from earmark.windowing.messages import AudioLost, GateClosed, Message, SourceChanged, SourceEnded
from earmark.windowing.silero import RATE, Silero
from earmark.windowing.windows import Windowing

GateKind = Literal["speech", "level", "open"]


@dataclass(frozen=True, slots=True)
class ClassifierInput:
    """A classifier that wants to hear a source: what it is called, at which rate, through which gate."""

    classifier: str
    model: str
    rate: int
    gate: GateKind
    vad: Vad
    cutter: Windowing


class SourceStream:
    """One source's state on the listening thread.

    `news` collects what the event loop is to be told, `seconds` is how much sound is kept; a `silero` is needed
    where a hearing's gate is "speech".
    """

    def __init__(
        self,
        intake: Intake,
        hearings: Sequence[ClassifierInput],
        seconds: float,
        silero: Silero | None,
        news: list[Message],
    ) -> None:
        self.intake = intake
        self.waiting = False  # set by the source's thread: something is in the intake
        self.sent = 0  # windows told of
        self.returned = 0  # windows answered or dropped; written by the event loop alone
        self.speech_gates: list[SpeechGate] = []
        self.level_gates: list[LevelGate] = []
        self._news = news
        self._silero = silero
        self._seconds = seconds
        self._health = Health()
        self._tracks: dict[int, ResampledRing] = {}
        self._ends = 0  # position after the last block, at the source's rate
        self._rate = 0
        self._dropped = 0
        self._enough = 0  # samples that must have gathered before any gate can have news
        self._hearers: dict[SpeechGate | LevelGate, list[tuple[ClassifierInput, ResampledRing]]] = {}
        shared: dict[tuple[GateKind, Vad, int], SpeechGate | LevelGate] = {}
        for hearing in hearings:
            key = (hearing.gate, hearing.vad, RATE if hearing.gate == "speech" else hearing.rate)
            if key not in shared:
                shared[key] = self._make_gate(*key)
            self._hearers.setdefault(shared[key], []).append((hearing, self._track(hearing.rate)))

    @property
    def name(self) -> str:
        return self.intake.name

    @property
    def outstanding(self) -> int:
        """Windows on their way; a source that is not live is not listened to further while there are many."""
        return self.sent - self.returned

    def listen(self) -> None:
        """Take everything from the intake into the tracks, and judge with the gates that need no batch."""
        for item in _joined(self.intake.drain()):
            match item:
                case Block():
                    self._take(item)
                case Started(device, rate):
                    self._tell(self._health.began(device, rate))
                case Failed(state, detail):
                    self._break("source_lost")
                    self._tell(self._health.broke(state, detail))
                case Overflowed(position):
                    at = position / (self._rate or 1)
                    self._news.append(AudioLost(self.name, at, at, "overflow"))
                case Ended(error):
                    self._finish(error)

    def turned(
        self, gate: SpeechGate | LevelGate, what: Opened | Closed, end: int, *, reason: OffReason = "quiet"
    ) -> None:
        """Take what a gate found; `end` is the position up to which it had judged, at the gate's rate.

        `reason` is what the labels go off for where it closed.
        """
        for hearing, track in self._hearers[gate]:
            position, upto = (at * hearing.rate // gate.track.rate for at in (what.position, end))
            match what:
                case Opened():
                    hearing.cutter.opened(Opened(position))
                case Closed(_, split):
                    self._advance(hearing, track, upto - 1)  # one that ends right here is the last one
                    spans = hearing.cutter.closed(Closed(position, split), track.ring.start, min(upto, track.ring.end))
                    for span in spans:
                        self._cut(hearing, track, span)
                    if not split:  # else the sound goes on: nothing that is on because of it goes off
                        at, captured = position / hearing.rate, track.captured(position)
                        self._news.append(GateClosed(self.name, hearing.classifier, at, captured, reason))
                case _:
                    assert_never(what)

    def has_enough(self) -> bool:
        """Whether listening to what has gathered can tell anything new."""
        return not self.intake.holds_less_than(self._enough)

    def advance(self) -> None:
        """Cut the windows that became complete while gates are open. Ends this ear's part in the round."""
        for gate, hearers in self._hearers.items():
            if gate.is_open:
                for hearing, track in hearers:
                    self._advance(hearing, track, gate.position * hearing.rate // gate.track.rate)
        self._enough = int(min((gate.wants for gate in self._hearers), default=0.0) * self._rate)

    def _advance(self, hearing: ClassifierInput, track: ResampledRing, upto: int) -> None:
        for span in hearing.cutter.advance(track.ring.start, min(upto, track.ring.end)):
            self._cut(hearing, track, span)

    def _take(self, block: Block) -> None:
        if (block.position != self._ends or block.rate != self._rate) and self._rate:
            self._gap(self._ends / self._rate, block.position / block.rate)
        self._ends, self._rate = block.position + len(block.samples), block.rate
        change = self._health.heard(block.samples, block.rate)
        if change is not None:
            self._tell(change)
        for track in self._tracks.values():
            track.feed(block)
        for gate in self.level_gates:
            for what, end in gate.run():
                self.turned(gate, what, end)

    def _gap(self, began: float, at: float) -> None:
        self._break("source_lost")
        dropped, self._dropped = self.intake.dropped - self._dropped, self.intake.dropped
        if at > began:
            self._news.append(AudioLost(self.name, round(began, 3), round(at, 3), "overload" if dropped else "device"))

    def _break(self, reason: OffReason) -> None:
        """The sound stops here: what is left is judged, what is open closes, and nothing is stitched across."""
        for track in self._tracks.values():
            track.flush()
        if self._silero is not None:
            for speech, what, end in step_all(self.speech_gates, self._silero):
                self.turned(speech, what, end)
        self.advance()
        for gate in self._hearers:
            for what in gate.close():
                self.turned(gate, what, gate.position, reason=reason)

    def _finish(self, error: str) -> None:
        self._break("source_lost" if error else "quiet")
        self._tell(self._health.broke("stopped", error or "it has ended"))
        self._news.append(SourceEnded(self.name, error))

    def _cut(self, hearing: ClassifierInput, track: ResampledRing, span: Span) -> None:
        samples = track.ring.read(span.start, span.end)
        # the beginning of a long utterance is no older than the utterance's end: it could not be cut before
        captured = track.captured(min(max(span.end, span.speech_end), track.ring.end))
        self.sent += 1
        self._news.append(
            Window(
                self.name, hearing.classifier, hearing.model, span, samples, hearing.rate, captured, self.intake.live
            )
        )

    def _tell(self, change: Change | None) -> None:
        if change is not None:
            self._news.append(SourceChanged(self.name, change))

    def _track(self, rate: int) -> ResampledRing:
        if rate not in self._tracks:
            self._tracks[rate] = ResampledRing(rate, self._seconds, live=self.intake.live)
        return self._tracks[rate]

    def _make_gate(self, kind: GateKind, vad: Vad, rate: int) -> SpeechGate | LevelGate:
        if kind == "speech":
            assert self._silero is not None, "an ear with a speech gate is given a Silero"
            speech = SpeechGate(self._track(rate), vad, self._silero)
            self.speech_gates.append(speech)
            return speech
        level = LevelGate(self._track(rate), vad, always=kind == "open")
        self.level_gates.append(level)
        return level


def _joined(items: list[Item]) -> list[Item]:
    """The same with blocks that follow each other made one: what comes after costs by the block."""
    if len(items) < 2:
        return items
    joined: list[Item] = []
    run: list[Block] = []
    for item in items:
        if run and not (isinstance(item, Block) and item.position == run[-1].position + len(run[-1].samples)):
            joined.append(_one(run))
            run = []
        if isinstance(item, Block):
            run.append(item)
        else:
            joined.append(item)
    return [*joined, _one(run)] if run else joined


def _one(run: list[Block]) -> Block:
    if len(run) == 1:
        return run[0]
    samples = np.concatenate([block.samples for block in run])
    return Block(run[0].position, samples, run[0].rate, run[-1].captured)
