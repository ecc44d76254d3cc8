"""What the segmenter thread does in a round: carry out requests, and turn the new sound into windows."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import assert_never

from earmark.audio.types import Nanoseconds, Window
from earmark.errors import SourceError
from earmark.gating.silero import Silero
from earmark.gating.speech import step_all
from earmark.protocol.events import OffReason
from earmark.windowing.inbox import (
    AddSource,
    Capture,
    ChangeClassifier,
    Order,
    Read,
    RemoveClassifier,
    RemoveSource,
    SharedSource,
    TuneClassifier,
)
from earmark.windowing.messages import Message
from earmark.windowing.stream import SourceStream

log = logging.getLogger(__name__)


class Rounds:
    """The streams of all sources. An error with one source is logged and counted, and costs the others nothing.

    Used on one thread at a time: the segmenter thread, while it runs.
    """

    def __init__(self, clock: Callable[[], Nanoseconds]) -> None:
        self._clock = clock
        self._streams: dict[SharedSource, SourceStream] = {}
        self._silero: Silero | None = None  # as soon as a source has a speech gate
        self.errors = 0

    def obey(self, orders: Iterable[Order]) -> list[Message]:
        """Do what the orders say, and return what follows from that."""
        messages: list[Message] = []
        for order in orders:
            try:
                messages += _counted(order.source, self._apply(order))
            except Exception:
                self.failed("%s: %s failed", order.source.intake.name, type(order).__name__)
        return messages

    def listen(self, ready: Sequence[SharedSource], *, metering: bool) -> list[Message]:
        """Take the sound of these sources, judge it, and return what follows from that; the levels too, if metering."""
        messages: list[Message] = []
        streams = {
            source: stream
            for source in ready
            if (stream := self._streams.get(source)) and not source.must_wait and stream.has_enough()
        }
        for source, stream in streams.items():
            stream.meter(metering)
            try:
                stream.listen()
            except Exception:
                self.failed("%s: some of its sound was lost to an error", source.intake.name)
                source.wake()  # the rest is still in the intake, and the source may wait for room
        self._judge_speech(streams.values())
        for source, stream in streams.items():
            try:
                messages += _counted(source, stream.finish_round())
                if metering and (level := stream.level(self._clock())) is not None:
                    messages.append(level)
            except Exception:
                self.failed("%s: some of its windows were lost to an error", source.intake.name)
        return messages

    def capture(self, request: Capture) -> None:
        """Answer the request when all of its sound has come, or when the sound breaks or ends."""
        stream = self._streams.get(request.source)
        if stream is not None:
            stream.capture(request)
        elif request.future.set_running_or_notify_cancel():
            request.future.set_exception(SourceError(f'the source "{request.source.intake.name}" was removed'))

    def give_captures(self) -> None:
        """Answer all captures with the sound that there is, because no more will come."""
        for stream in self._streams.values():
            stream.kept.answer(all_of_them=True)

    def failed(self, message: str, *facts: str) -> None:
        """Log the present exception. The round goes on, because the other sources must not suffer from it."""
        self.errors += 1
        log.exception(message, *facts)

    def _judge_speech(self, streams: Iterable[SourceStream]) -> None:
        if self._silero is None:
            return
        owners = {detector: stream.gates for stream in streams for detector in stream.gates.detectors}
        try:
            for gate, event, judged in step_all(owners, self._silero):
                owners[gate.detector].found(gate, event, judged)
        except Exception:
            self.failed("the speech of a round was lost to an error")

    def _apply(self, order: Order) -> list[Message]:
        match order:
            case AddSource(source, inputs, seconds, silero):
                self._silero = silero or self._silero
                self._streams[source] = SourceStream(source.intake, inputs, seconds, silero, source.times)
                return []
            case RemoveSource(source, reason, detail):
                return self._remove(source, reason, detail)
            case ChangeClassifier(source, chosen, seconds, silero):
                self._silero = silero or self._silero
                return self._streams[source].change_classifier(chosen, seconds, silero)
            case TuneClassifier(source, chosen, seconds):
                self._streams[source].tune_classifier(chosen, seconds)
                return []
            case RemoveClassifier(source, classifier):
                return self._streams[source].remove_classifier(classifier)
            case Read():
                self._read(order)
                return []
            case Capture():
                self.capture(order)
                return []
            case _:
                assert_never(order)

    def _remove(self, source: SharedSource, reason: OffReason, detail: str) -> list[Message]:
        stream = self._streams.pop(source)
        try:
            stream.end(reason, detail)
        except Exception:
            self.failed("%s: the last of its sound was lost to an error", source.intake.name)
        return stream.finish_round()

    def _read(self, request: Read) -> None:
        if not request.future.set_running_or_notify_cancel():
            return
        try:
            stream = self._streams.get(request.source)
            if stream is None:
                raise SourceError(f'the source "{request.source.intake.name}" was removed')
            samples = stream.kept.read(request.rate, request.start, request.end)
        except Exception as error:
            request.future.set_exception(error)
        else:
            request.future.set_result(samples)


def _counted(source: SharedSource, messages: list[Message]) -> list[Message]:
    if messages:
        source.sent(sum(isinstance(message, Window) for message in messages))
    return messages
