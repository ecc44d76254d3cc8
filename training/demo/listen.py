"""Hear a sound as the daemon does: its gates, windows, models and decisions, in this process and without its threads.

The parts are the daemon's own. listening/live.py is not among them, because it decides once, while the windows come;
here the scores of one hearing are decided on several times, with thresholds a little higher and lower.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import torch

from earmark.audio.types import Floats, Samples, Window
from earmark.config import presets
from earmark.config import settings as config
from earmark.config.labels import REJECTED
from earmark.config.sources import File
from earmark.detection.detectors import Detectors
from earmark.inference.scores import apply
from earmark.listening.plan import Plan, plans
from earmark.protocol.events import Label, Numbered, Result
from earmark.windowing.messages import Message, SourceLevel
from earmark.worker import model
from training.data.audio import RATE
from training.streams.offline import listen

SOURCE = "demo"
MARGIN = 0.1  # by which all thresholds may be moved without a change of the labels, or less near 0 and 1
SURE = 0.9  # a peak at which a search ends early
PHASES = (0, 128, 256, 384)  # samples by which a part is played later, because gates judge steps of 512
MIN_ON_S = 1.5  # for which subscribers see an emotion or a sound on
LEAD_S, TAIL_S = 5.0, 2.0  # of floor around a part that is tried; the longest window begins in it


@dataclass(frozen=True, slots=True)
class On:
    """A label that was on from `start` to `end` seconds, or a word with its place. `peak` is its best score.

    `told` is the second at which a subscriber learns of it: the end of the window that made it go on.
    """

    classifier: str
    label: str
    start: float
    end: float
    peak: float
    told: float = 0.0


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of sound, and the label that `classifier` should hear in it.

    `how` tells people how it was made. Once it was tried, `sure` is the label's peak, or for a word its lead over all
    others, and `flaw` says why it cannot be used.
    """

    classifier: str
    label: str
    how: str
    samples: Samples
    sure: float = 0.0
    flaw: str = ""


class Unreached(Exception):
    """No sound was found that the models hear as they should. The text says how near the best came."""


@dataclass(frozen=True, slots=True)
class Heard:
    """The messages of one sound, windows with their scores, which can be decided on more than once."""

    plans: tuple[Plan, ...]
    messages: Sequence[tuple[Message, Floats | None]]

    def labels(self, stricter: float = 0.0) -> list[On]:
        """Return the labels that go on, in order, with all thresholds higher by `stricter`, which may be negative."""
        ids = map(str, itertools.count())
        by_classifier = {
            (SOURCE, plan.name): _stricter(plan, stricter).detector(SOURCE, ids.__next__) for plan in self.plans
        }
        detectors = Detectors(by_classifier, (SOURCE,))
        drafts = []
        for message, scores in self.messages:
            if isinstance(message, Window):
                assert scores is not None
                drafts += detectors.answered(detectors.reserve(message), scores, 0)
            elif not isinstance(message, SourceLevel):
                drafts += detectors.receive(message, 0)
        drafts += detectors.end("shutdown", 0)
        return _paired([draft.event for draft in drafts])

    def windows(self, classifier: str) -> list[Floats]:
        """Return the scores of each window of the classifier."""
        return [
            scores
            for message, scores in self.messages
            if isinstance(message, Window) and message.classifier == classifier and scores is not None
        ]

    def best(self, classifier: str, label: str) -> float:
        """Return the label's highest score in any window."""
        (index,) = (plan.checkpoint.labels.index(label) for plan in self.plans if plan.name == classifier)
        return max((float(scores[index]) for scores in self.windows(classifier)), default=0.0)


class Daemon:
    """The three embedded models from the folder `models`, with the settings of `earmarkd --demo`."""

    def __init__(self, models: Path) -> None:
        torch.set_num_threads(1)
        names = sorted({chosen.model for chosen in presets.ALL})
        settings = config.Config(
            source=(File(name=SOURCE, path="demo.flac"),),
            model=tuple(config.Model(name=name, path=str(models / Path(name).name)) for name in names),
            classifier=presets.ALL,
        )
        self.plans = plans(settings)
        self._models = {
            plan.name: model.load(plan.checkpoint.name, Path(plan.checkpoint.path), torch.device("cpu"), "fp32")
            for plan in self.plans
        }

    def hear(self, sound: Samples) -> Heard:
        """Return what a daemon that has just started hears in the whole of `sound`."""
        return Heard(self.plans, [(message, self._scores(message)) for message in listen(self.plans, sound, SOURCE)])

    def scores(self, classifier: str, window: Samples) -> dict[str, float]:
        """Return a model's scores of one window, by label."""
        (plan,) = (plan for plan in self.plans if plan.name == classifier)
        return dict(zip(plan.checkpoint.labels, self._classify(plan, window).tolist(), strict=True))

    def _scores(self, message: Message) -> Floats | None:
        if not isinstance(message, Window):
            return None
        (plan,) = (plan for plan in self.plans if plan.name == message.classifier)
        return self._classify(plan, message.samples)

    def _classify(self, plan: Plan, window: Samples) -> Floats:
        return apply(plan.scoring, self._models[plan.name].classify(window[None])[0], plan.checkpoint.name)


def search(
    classifier: str, label: str, attempts: Iterable[tuple[str, Samples]], daemon: Daemon, floor: Samples
) -> Part:
    """Return the attempt that is heard most clearly as `label` and as nothing else, or else one with a flaw.

    Attempts are pairs of how the sound was made and the sound. The search ends with one that peaks at SURE.
    """
    best: Part | None = None
    for how, samples in attempts:
        to_beat = best.sure if best is not None and not best.flaw else 0.0
        part = _tried_at_all_phases(Part(classifier, label, how, samples), daemon, floor, to_beat)
        if best is None or (not part.flaw, part.sure) > (not best.flaw, best.sure):
            best = part
        if not best.flaw and best.sure >= SURE:
            break
    if best is None:
        raise Unreached(f"{label}: there is nothing to try")
    return best


def _tried_at_all_phases(part: Part, daemon: Daemon, floor: Samples, to_beat: float) -> Part:
    """Try the part at all PHASES, or until it has a flaw or a peak below `to_beat`. `sure` becomes the lowest peak."""
    sure = 1.0
    for phase in PHASES:
        part = tried(part, daemon, floor, phase)
        sure = min(sure, part.sure)
        if part.flaw or sure < to_beat:
            break
    return replace(part, sure=sure)


def tried(part: Part, daemon: Daemon, floor: Samples, phase: int = 0) -> Part:
    """Hear the part with silence around it. Returns it with the daemon's certainty and the first flaw that is found."""
    lead, tail = int(LEAD_S * RATE) + phase, int(TAIL_S * RATE)
    sound = floor[: lead + len(part.samples) + tail].copy()
    sound[lead : lead + len(part.samples)] += part.samples
    heard = daemon.hear(sound)

    mine = (part.classifier, part.label)
    found = [on for on in heard.labels() if (on.classifier, on.label) == mine]
    # A word alone in silence is not how it will be heard, so here other classifiers need only stay off
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
    elif part.classifier != "commands" and found[0].end - found[0].told < MIN_ON_S:
        flaw = f"it is on for {found[0].end - found[0].told:.1f} s only"
    elif len([on for on in heard.labels(MARGIN) if (on.classifier, on.label) == mine]) != 1:
        flaw = "it would not go on once and stay on if the thresholds were higher"
    return replace(part, sure=max((on.peak for on in found), default=heard.best(*mine)), flaw=flaw)


def complaints(expected: Sequence[On], found: Sequence[On], tolerance: float) -> list[str]:
    """Return which labels are missing and which are too many, in sentences.

    A word must begin within `tolerance` seconds of its place, and any other label must overlap its own.
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
    """Return the plan with all thresholds higher by so much."""
    chosen = plan.settings.decide
    on, off = _moved(chosen.on, by), _moved(chosen.off, by)
    own = {label: _moved(threshold, by) for label, threshold in chosen.labels.items()}
    settings = msgspec.structs.replace(
        plan.settings, decide=msgspec.structs.replace(chosen, on=on, off=off, labels=own)
    )
    return Plan(settings, plan.checkpoint, plan.lengths, plan.sources)


def _moved(threshold: float, by: float) -> float:
    """Return the threshold moved by so much, and at most a third of the way to 1 or to 0: no score is ever 1."""
    return threshold + min(by, (1 - threshold) / 3) if by > 0 else threshold + max(by, -threshold / 3)


def _paired(events: Sequence[Numbered]) -> list[On]:
    """Return each `on` with its end and its peak, which are those of its `off` if it has one."""
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
