"""What the daemon makes of a sound: its gates, windows, models and decisions in this process, as fast as they go."""

from __future__ import annotations

import itertools
import queue
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import torch

from earmark.app.plan import Plan, plans
from earmark.audio.types import Floats, Samples, Window
from earmark.config import presets
from earmark.config import settings as config
from earmark.config.labels import REJECTED
from earmark.detection.detectors import Detectors
from earmark.inference.scores import apply
from earmark.protocol.events import Label, Numbered, Result
from earmark.windowing.messages import Message, SourceEnded
from earmark.windowing.segmenter import Segmenter
from earmark.worker import model
from training.data.audio import RATE

SOURCE = "demo"
BLOCK = RATE // 10
KEPT_S = 20.0
MARGIN = 0.1  # by which all thresholds may be moved, and the same is heard
ENOUGH = 0.9  # a peak with which a search ends early
PHASES = (0, 128, 256, 384)  # samples by which a part is heard later: gates judge steps of 512
LASTS_S = 1.5  # for which an emotion or a sound is seen on at least
LEAD_S, TAIL_S = 5.0, 2.0  # of floor around a part that is tried out: the longest window begins in it


@dataclass(frozen=True, slots=True)
class On:
    """A label that was on from `start` to `end` seconds; for a word, where it was said. `peak` is its best score.

    It is `told` where its second window ends, later than it began.
    """

    classifier: str
    label: str
    start: float
    end: float
    peak: float
    told: float = 0.0


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of sound, and what `classifier` should hear in it.

    `how` it was made is for people. Once it was tried, `sure` is the label's peak, or for a word its lead over all
    others, and a `flaw` says why it will not do.
    """

    classifier: str
    label: str
    how: str
    samples: Samples
    sure: float = 0.0
    flaw: str = ""


class Unreached(Exception):
    """The models do not hear what they should, with how near it came."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A sound's windows with their scores, which can be decided on more than once."""

    plans: tuple[Plan, ...]
    news: Sequence[tuple[Message, Floats | None]]

    def labels(self, stricter: float = 0.0) -> list[On]:
        """What goes on, in order, with all thresholds `stricter` by so much; negative is more lenient."""
        ids = map(str, itertools.count())
        detectors = {
            (SOURCE, plan.name): _stricter(plan, stricter).detector(SOURCE, ids.__next__) for plan in self.plans
        }
        desk = Detectors(detectors, (SOURCE,))
        drafts = []
        for item, scores in self.news:
            if isinstance(item, Window):
                assert scores is not None
                drafts += desk.answered(item, desk.ticket(item), scores)
            else:
                drafts += desk.receive(item, 0)
        drafts += desk.end("shutdown", 0)
        return _paired([draft.event for draft in drafts])

    def windows(self, classifier: str) -> list[Floats]:
        """The scores of each of its windows."""
        return [
            scores
            for item, scores in self.news
            if isinstance(item, Window) and item.classifier == classifier and scores is not None
        ]

    def best(self, classifier: str, label: str) -> float:
        """The label's highest score in any window."""
        (index,) = (plan.checkpoint.labels.index(label) for plan in self.plans if plan.name == classifier)
        return max((float(scores[index]) for scores in self.windows(classifier)), default=0.0)


class Daemon:
    """The three embedded models from the folder `models`, with the settings of `earmarkd --demo`."""

    def __init__(self, models: Path) -> None:
        torch.set_num_threads(1)
        names = sorted({chosen.model for chosen in presets.ALL})
        settings = config.Config(
            source=(config.File(name=SOURCE, path="demo.flac"),),
            model=tuple(config.Model(name=name, path=str(models / Path(name).name)) for name in names),
            classifier=presets.ALL,
        )
        self.plans = plans(settings)
        self._models = {
            plan.name: model.load(plan.checkpoint.name, Path(plan.checkpoint.path), torch.device("cpu"), "fp32")
            for plan in self.plans
        }

    def hear(self, sound: Samples) -> Heard:
        """The whole of `sound`, as a daemon hears it that has just started."""
        return Heard(self.plans, [(item, self._scored(item)) for item in self._listen(sound)])

    def scores(self, classifier: str, window: Samples) -> dict[str, float]:
        """What a model says of one window, by label."""
        (plan,) = (plan for plan in self.plans if plan.name == classifier)
        return dict(zip(plan.checkpoint.labels, self._classify(plan, window).tolist(), strict=True))

    def _scored(self, item: Message) -> Floats | None:
        if not isinstance(item, Window):
            return None
        (plan,) = (plan for plan in self.plans if plan.name == item.classifier)
        return self._classify(plan, item.samples)

    def _classify(self, plan: Plan, window: Samples) -> Floats:
        return apply(plan.function, self._models[plan.name].classify(window[None])[0], plan.checkpoint.name)

    def _listen(self, sound: Samples) -> list[Message]:
        inbox: queue.SimpleQueue[list[Message]] = queue.SimpleQueue()

        def deliver(news: list[Message]) -> None:
            for item in news:
                if isinstance(item, Window):
                    listener.answered(SOURCE)  # answers are not waited for here
            inbox.put(news)

        listener = Segmenter(deliver)
        hearings = [plan.classifier_input() for plan in self.plans]
        intake = listener.add_source(SOURCE, hearings, KEPT_S, live=False, rates=(RATE,))
        news: list[Message] = []
        with listener:
            intake.begin(SOURCE, RATE)
            for start in range(0, len(sound), BLOCK):
                intake.put(sound[start : start + BLOCK])
            intake.end()
            while not any(isinstance(item, SourceEnded) for item in news):
                news += inbox.get(timeout=60)
        return news


def search(
    classifier: str, label: str, attempts: Iterable[tuple[str, Samples]], daemon: Daemon, floor: Samples
) -> Part:
    """The attempt that is heard most clearly as `label` and as nothing else; where none is, one with a flaw.

    Attempts are pairs of how the sound was made and the sound; there is none after one that peaks at ENOUGH.
    """
    best: Part | None = None
    for how, samples in attempts:
        least = best.sure if best is not None and not best.flaw else 0.0
        part = _thoroughly_tried(Part(classifier, label, how, samples), daemon, floor, least)
        if best is None or (not part.flaw, part.sure) > (not best.flaw, best.sure):
            best = part
        if not best.flaw and best.sure >= ENOUGH:
            break
    if best is None:
        raise Unreached(f"{label}: there is nothing to try")
    return best


def _thoroughly_tried(part: Part, daemon: Daemon, floor: Samples, least: float) -> Part:
    """Tried at all PHASES, with the smallest peak; not at all of them once there is a flaw or a peak below `least`."""
    sure = 1.0
    for phase in PHASES:
        part = tried(part, daemon, floor, phase)
        sure = min(sure, part.sure)
        if part.flaw or sure < least:
            break
    return replace(part, sure=sure)


def tried(part: Part, daemon: Daemon, floor: Samples, phase: int = 0) -> Part:
    """The part, heard with silence around it: how sure the daemon is of it, and the first flaw that is found."""
    lead, tail = int(LEAD_S * RATE) + phase, int(TAIL_S * RATE)
    sound = floor[: lead + len(part.samples) + tail].copy()
    sound[lead : lead + len(part.samples)] += part.samples
    heard = daemon.hear(sound)

    mine = (part.classifier, part.label)
    found = [on for on in heard.labels() if (on.classifier, on.label) == mine]
    # A word alone in silence is not how it will be heard: what other classifiers make of that must only not go on
    wary = -MARGIN if part.classifier != "commands" else 0.0
    others = [on.label for on in heard.labels(wary) if (on.classifier, on.label) != mine]
    others += [on.label for on in heard.labels(-MARGIN) if on.classifier == mine[0] and on.label != mine[1]]
    utterances = len(heard.windows("commands"))
    flaw = ""
    if part.classifier == "sounds" and utterances:
        flaw = "it is taken for speech"
    elif part.classifier == "commands" and utterances != 1:
        flaw = f"it is {utterances} utterances"
    elif others:
        flaw = f"{others[0]} is heard too, or all but"
    elif part.label in REJECTED:
        pass
    elif not found:
        flaw = "it does not go on"
    elif len(found) > 1:
        flaw = f"it goes on {len(found)} times"
    elif part.classifier != "commands" and found[0].end - found[0].told < LASTS_S:
        flaw = f"it is on for {found[0].end - found[0].told:.1f} s only"
    elif len([on for on in heard.labels(MARGIN) if (on.classifier, on.label) == mine]) != 1:
        flaw = f"it would not go on once and stay on if the thresholds were {MARGIN} higher"
    return replace(part, sure=max((on.peak for on in found), default=heard.best(*mine)), flaw=flaw)


def complaints(expected: Sequence[On], found: Sequence[On], tolerance: float) -> list[str]:
    """What is missing and what is too much, in sentences.

    A word begins within `tolerance` seconds of its place; what lasts overlaps its own.
    """
    left, said = list(found), list[str]()
    for want in expected:
        near = [on for on in left if _is(on, want, tolerance)]
        if near:
            left.remove(near[0])
        else:
            said.append(f"{want.classifier}: {want.label} at {want.start:.1f} s is not heard")
    return said + [f"{on.classifier}: {on.label} is heard from {on.start:.1f} to {on.end:.1f} s" for on in left]


def _is(on: On, want: On, tolerance: float) -> bool:
    if (on.classifier, on.label) != (want.classifier, want.label):
        return False
    if on.classifier == "commands":
        return abs(on.start - want.start) <= tolerance
    return on.start <= want.end and on.end >= want.start


def _stricter(plan: Plan, by: float) -> Plan:
    chosen = plan.settings.decide
    on, off = _moved(chosen.on, by), _moved(chosen.off, by)
    own = {label: _moved(threshold, by) for label, threshold in chosen.labels.items()}
    settings = msgspec.structs.replace(
        plan.settings, decide=msgspec.structs.replace(chosen, on=on, off=off, labels=own)
    )
    return Plan(settings, plan.checkpoint, plan.lengths, plan.sources)


def _moved(threshold: float, by: float) -> float:
    return min(1.0, max(0.0, threshold + by))


def _paired(events: Sequence[Numbered]) -> list[On]:
    """Each `on` with its end and its peak, from its `off` where it has one."""
    lasts = {event.id: event for event in events if isinstance(event, Label) and event.state == "off"}
    heard_to: dict[str, float] = {}  # by classifier
    found = []
    for event in events:
        if isinstance(event, Result):
            heard_to[event.classifier] = event.end
        elif isinstance(event, Label) and event.state == "on":
            last = lasts.get(event.id, event)
            assert last.end is not None
            peak = last.peak if last.peak is not None else event.score
            told = heard_to[event.classifier]
            found.append(On(event.classifier, event.label, event.start, last.end, peak or 0.0, told))
    return found
