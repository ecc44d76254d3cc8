"""Plans: from the settings of a classifier and its checkpoint to the input of the segmenter and to a detector."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import msgspec

from earmark.audio.types import milliseconds
from earmark.checkpoints.catalogue import Entry, catalogue
from earmark.checkpoints.checkpoint import Checkpoint, Scoring
from earmark.config import settings as config
from earmark.config.labels import REJECTED
from earmark.deciding.judged import Decider
from earmark.deciding.rules import Rules, SecondRules, rules
from earmark.deciding.sliding import SlidingDecider
from earmark.deciding.utterances import UtteranceDecider
from earmark.detection.detector import Detector
from earmark.detection.groups import Grouping, grouping, wrong_groups
from earmark.detection.meaning import Meaning, as_they_are
from earmark.detection.second import SecondModel
from earmark.engines.wire import MAX_WINDOW_SAMPLES
from earmark.errors import ConfigError, LabelsRefused, ModelError
from earmark.hints import did_you_mean
from earmark.inference.scores import masses
from earmark.listening import verify
from earmark.listening.lengths import window_lengths
from earmark.protocol import events
from earmark.protocol.events import ClassifierInfo
from earmark.windowing import windows
from earmark.windowing.classifier_stream import ClassifierInput
from earmark.zeroshot.head import Head
from earmark.zeroshot.label_set import LabelSet
from earmark.zeroshot.text_vectors import TextVectors

LABEL_SET = ("labels", "background", "template")  # the settings that a model with labels of its own does not take
EVERY = "*"  # in `clips`: every label
MARGIN_SECONDS = 5.0  # of sound kept beyond what a window needs: more than an intake holds when it comes late


@dataclass(frozen=True, slots=True)
class Plan:
    """One classifier with its checkpoint, and everything that follows from both."""

    settings: config.Classifier
    checkpoint: Checkpoint
    lengths: windows.Lengths
    sources: tuple[str, ...]
    clip_seconds: float = 0.0  # of the longest clip that is kept of it; 0: none is kept
    grouping: Grouping | None = None  # of its labels; None: each stands for itself
    second: tuple[Checkpoint, SecondModel] | None = None  # what looks a second time
    head: Head | None = None  # of its label set, once the model has read that

    @property
    def name(self) -> str:
        return self.settings.name

    @property
    def scoring(self) -> Scoring:
        return self.checkpoint.scoring

    @property
    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """All that it needs: its own, and that of its second look."""
        return (self.checkpoint,) if self.second is None else (self.checkpoint, self.second[0])

    @property
    def vad(self) -> config.Vad:
        """The settings of the gate, with the default hangover of the mode if they name none."""
        vad, mode = self.settings.vad, self.settings.mode
        return msgspec.structs.replace(vad, hangover_ms=vad.hangover_ms or config.HANGOVER_MS[mode])

    @property
    def seconds(self) -> float:
        """The seconds of sound that must be kept for its windows."""
        vad, rate = self.vad, self.checkpoint.rate
        return (
            max(self.lengths.limit, self.lengths.window) / rate
            + (vad.hangover_ms + vad.pre_roll_ms) / 1000
            + MARGIN_SECONDS
            + self.clip_seconds
        )

    @property
    def clips(self) -> tuple[str, ...]:
        """The labels whose sound is kept when they go on."""
        chosen, never = self.settings.clips, self.deciding.ignore
        named = self.labels if EVERY in chosen else chosen
        return tuple(label for label in self.labels if label in named and label not in never)

    @property
    def label_set(self) -> LabelSet | None:
        """Its labels, where the model takes them at run time."""
        settings = self.settings
        if not self.checkpoint.takes_labels:
            return None
        return LabelSet(settings.labels, settings.background, settings.template)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that are published, in the order of their scores."""
        if self.grouping is not None:
            return self.grouping.labels
        return self.checkpoint.labels if self.label_set is None else self.label_set.names

    @property
    def values(self) -> tuple[str, ...]:
        """The published labels whose scores are values and no probabilities."""
        if self.grouping is None:
            return self.checkpoint.values
        return self.grouping.made_of(self.checkpoint.values)

    @property
    def reserved(self) -> tuple[str, ...]:
        """The published labels that go on only if they have a threshold of their own."""
        never = (*self.settings.decide.ignore, *self.settings.background)
        return (*self.values, *(self.grouping.made_of(never) if self.grouping is not None else ()))

    @property
    def deciding(self) -> config.Decide:
        """How it decides. Labels of the background never go on, and those that are reserved need a threshold."""
        chosen = self.settings.decide
        reserved = (label for label in self.reserved if label not in chosen.labels)
        return msgspec.structs.replace(chosen, ignore=(*chosen.ignore, *self.settings.background, *reserved))

    @property
    def info(self) -> ClassifierInfo:
        rate, settings, chosen = self.checkpoint.rate, self.settings, self.label_set
        return ClassifierInfo(
            settings.name,
            settings.model,
            self.labels,
            self.sources,
            settings.gate,
            settings.mode,
            round(self.lengths.window / rate, 3),
            settings.hop if settings.mode == "sliding" else 0.0,
            "off" if settings.mode == "sliding" else "on",
            self.clips,
            events.LabelSet(chosen.labels, chosen.background, chosen.template) if chosen else msgspec.UNSET,
        )

    def classifier_input(self) -> ClassifierInput:
        """Make the input for one more source, with a windowing of its own."""
        settings = self.settings
        windowing = windows.SlidingWindows if settings.mode == "sliding" else windows.UtteranceWindows
        rate = self.checkpoint.rate
        return ClassifierInput(settings.name, settings.model, rate, settings.gate, self.vad, windowing(self.lengths))

    @property
    def rules(self) -> Rules:
        settings, checkpoint = self.settings, self.checkpoint
        window = milliseconds(checkpoint.window or 0, checkpoint.rate)
        return rules(
            self.labels,
            self.deciding,
            gate=settings.gate,
            model_window=window,
            second=self._second_rules,
            values=self.values,
        )

    @property
    def _second_rules(self) -> SecondRules | None:
        chosen = self.settings.verify
        if chosen is None or self.second is None:
            return None
        _, model = self.second
        return SecondRules(model.name, model.sure(chosen.sure), chosen.on)

    @property
    def meaning(self) -> Meaning:
        """What the answers of its models mean."""
        return Meaning(
            self.labels,
            as_they_are if self.head is None else self.head.scores,
            self.grouping,
            None if self.second is None else self.second[1],
        )

    def detector(self, source: str, new_id: Callable[[], str]) -> Detector:
        """Make the detector of one more source, with a decider of its own."""
        settings, rules = self.settings, self.rules
        decider: Decider = SlidingDecider(rules) if settings.mode == "sliding" else UtteranceDecider(rules)
        return Detector(
            source,
            settings.name,
            self.meaning,
            decider,
            new_id,
            settings.top_k or None,
            rules.min_on,
            frozenset(self.clips),
        )


def checkpoints_of(plans: Iterable[Plan]) -> dict[str, Checkpoint]:
    """Return the checkpoints that these plans need, by name."""
    return {checkpoint.name: checkpoint for plan in plans for checkpoint in plan.checkpoints}


def scorings(plans: Iterable[Plan]) -> dict[str, Scoring]:
    """Return for each model of these plans how its logits become scores."""
    return {name: checkpoint.scoring for name, checkpoint in checkpoints_of(plans).items()}


async def with_heads(plans: Mapping[str, Plan], vectors: TextVectors) -> dict[str, Plan]:
    """Return the plans with the heads of their label sets, in the same order. The models are loaded, or loading.

    Raises ConfigError, which names the setting, if a model does not read the labels, and WorkerError if it fails.
    """
    found: dict[str, Plan] = {}
    for index, (name, each) in enumerate(plans.items()):
        try:
            head = await vectors.head(each.checkpoint, each.label_set) if each.label_set else None
        except (LabelsRefused, ModelError) as error:
            raise ConfigError(f"classifier[{index}].labels: {error}") from None
        found[name] = dataclasses.replace(each, head=head)
    return found


def default_model(settings: config.Config) -> str:
    """Return the model for clips that name none: that of the settings, else of the first classifier."""
    if chosen := next((model.name for model in settings.model if model.default), None):
        return chosen
    named = [*(classifier.model for classifier in settings.classifier), *(model.name for model in settings.model)]
    return named[0] if named else config.DEFAULT_MODEL


def plans(settings: config.Config) -> tuple[Plan, ...]:
    """Return one plan per classifier. Raises ConfigError for an unknown model, and ModelError for its folder."""
    entries, read = catalogue(settings), functools.cache(Entry.read)
    return tuple(plan(settings, index, entries, read) for index in range(len(settings.classifier)))


def plan(
    settings: config.Config, index: int, entries: Mapping[str, Entry], read: Callable[[Entry], Checkpoint]
) -> Plan:
    """Return the plan of one classifier. Raises as plans() does."""
    where, classifier = f"classifier[{index}]", settings.classifier[index]
    name, chosen = classifier.model, classifier.decide
    checkpoint = read(_entry(f"{where}.model", name, entries))
    _check_labels(where, classifier, checkpoint)
    own = checkpoint.labels or (*classifier.labels, *classifier.background)
    for wrong in wrong_groups(own, classifier.groups, name, checkpoint.values):
        raise ConfigError(f"{where}.groups.{wrong}")
    for group, members in classifier.groups.items():
        never = {*members} & {*classifier.background}
        if never and never != {*members}:
            sentence = f'"{min(never)}" is of the background, which never goes on, and other members are not'
            raise ConfigError(f"{where}.groups.{group}: {sentence}")
    scoring: Scoring = "softmax" if checkpoint.takes_labels else checkpoint.scoring
    groups = grouping(own, classifier.groups, masses(scoring, len(own)))
    labels = own if groups is None else groups.labels
    for setting, named in (
        ("decide.labels", {*chosen.labels}),
        ("decide.ignore", {*chosen.ignore} - {*REJECTED}),
        ("clips", {*classifier.clips} - {EVERY}),
    ):
        for label in sorted(named - {*labels}):
            if group := next((group for group, members in classifier.groups.items() if label in members), ""):
                raise ConfigError(f'{where}.{setting}: "{label}" stands in the group "{group}"; name that')
            hint = did_you_mean(label, labels)
            raise ConfigError(f'{where}.{setting}: {name} has no label "{label}"{f"; {hint}" if hint else ""}')
    sources = classifier.sources or tuple(source.name for source in settings.source)
    clip_seconds = settings.clips.longest if classifier.clips else 0.0
    lengths, second = window_lengths(where, classifier, checkpoint, MAX_WINDOW_SAMPLES), None
    if (wanted := classifier.verify) is not None:
        other = read(_entry(f"{where}.verify.model", wanted.model, entries))
        second = other, verify.second(where, classifier, wanted, labels, checkpoint, other, lengths)
    return Plan(classifier, checkpoint, lengths, sources, clip_seconds, groups, second)


def _entry(where: str, name: str, entries: Mapping[str, Entry]) -> Entry:
    """Return the model of that name. Raises ConfigError, which names the setting `where`."""
    if name not in entries:
        hint = did_you_mean(name, entries) or f"there are {', '.join(entries)}; others go under [[model]]"
        raise ConfigError(f'{where}: there is no model "{name}"; {hint}')
    return entries[name]


def _check_labels(where: str, settings: config.Classifier, checkpoint: Checkpoint) -> None:
    """Raise ConfigError if labels are given that the model does not take, or not given that it needs."""
    if checkpoint.takes_labels:
        if not settings.labels:
            wanted = 'labels = ["a dog barking", "rain"]'
            raise ConfigError(
                f"{where}.labels: {settings.model} takes its labels from here; say what to tell apart, as in {wanted}"
            )
        return
    for setting in LABEL_SET:
        if getattr(settings, setting) != getattr(config.Classifier(name=settings.name), setting):
            raise ConfigError(
                f"{where}.{setting}: {settings.model} has labels of its own; only a model that takes its labels"
                " at run time (CLAP) takes others"
            )
