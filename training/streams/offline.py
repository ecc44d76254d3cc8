"""Hear streams as the daemon does, in this process and as fast as it can: for trying settings, on a busy machine too.

Gates, windows, models and decisions are the daemon's own. What is missing is time: a subscriber is assumed to get each
event LATENCY_SECONDS after the end of its window.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import torch

from earmark.audio.types import Window
from earmark.config.settings import Classifier, Config, Model
from earmark.detection.detectors import Detectors
from earmark.inference.scores import apply
from earmark.listening.plan import Plan, plans
from earmark.protocol.events import Label, Result
from earmark.windowing.messages import Message, SourceLevel
from earmark.windowing.segmenter import Segmenter
from earmark.worker import model
from training.data.audio import RATE, Samples
from training.streams.play import Heard, Told, fired_of
from training.streams.stream import Stream

SOURCE = "offline"
BLOCK = RATE // 10
KEPT_SECONDS = 20.0
LATENCY_SECONDS = 0.1
BATCH = 32


def plan_of(classifier: Classifier, checkpoint: Path | None) -> Plan:
    """Return the plan of the classifier, with `checkpoint` in the place of its model."""
    if checkpoint is None:
        return plans(Config(classifier=(classifier,)))[0]
    model = Model(name="evaluated/checkpoint", path=str(checkpoint))
    return plans(Config(model=(model,), classifier=(msgspec.structs.replace(classifier, model=model.name),)))[0]


def heard(streams: Sequence[Stream], plan: Plan, precision: str = "bf16") -> list[Heard]:
    """Return what a daemon would tell of each stream."""
    settings = msgspec.structs.replace(plan.settings, top_k=0)
    plan = Plan(settings, plan.checkpoint, plan.lengths, (SOURCE,))
    network = model.load(plan.checkpoint.name, Path(plan.checkpoint.path), torch.device("cpu"), precision)
    told = []
    for stream in streams:
        messages = listen([plan], stream.sound)
        windows = [message for message in messages if isinstance(message, Window)]
        parts = [windows[start : start + BATCH] for start in range(0, len(windows), BATCH)]
        logits = [row for part in parts for row in network.classify(np.stack([window.samples for window in part]))]
        told.append(decided(plan, messages, [apply(plan.scoring, row, plan.checkpoint.name) for row in logits]))
    return told


def decided(plan: Plan, messages: Sequence[Message], scores: Sequence[Samples]) -> Heard:
    """Return the labels that one stream's messages and scores of windows lead to."""
    ids = map(str, itertools.count())
    detectors = Detectors({(SOURCE, plan.name): plan.detector(SOURCE, ids.__next__)}, (SOURCE,))
    told: list[tuple[float, Told]] = []
    left, now = iter(scores), 0.0
    for message in messages:
        if isinstance(message, Window):
            now = message.span.end / message.rate + LATENCY_SECONDS
            drafts = detectors.answered(detectors.reserve(message), next(left), 0)
        elif isinstance(message, SourceLevel):
            continue
        else:
            drafts = detectors.receive(message, 0)
        told += [(now, draft.event) for draft in drafts if isinstance(draft.event, Result | Label)]
    hop = plan.settings.hop if plan.settings.mode == "sliding" else 0.0
    results = [(at, event) for at, event in told if isinstance(event, Result)]
    return Heard(fired_of(told, hop), results, 0)


def listen(plans: Sequence[Plan], sound: Samples, source: str = SOURCE) -> list[Message]:
    """Return the messages of the segmenter for the sound of `source`. Its rounds are run here."""
    messages: list[Message] = []

    def deliver(new: list[Message]) -> None:
        for message in new:
            if isinstance(message, Window):
                segmenter.answered(source)  # the windows are scored later
        messages.extend(new)

    segmenter = Segmenter(deliver)
    inputs = [plan.classifier_input() for plan in plans]
    intake = segmenter.add_source(source, inputs, KEPT_SECONDS, live=False, rates=(RATE,))
    intake.begin(source, RATE)
    for start in range(0, len(sound), BLOCK):
        intake.put(sound[start : start + BLOCK])
        segmenter.round()
    intake.end()
    segmenter.round()
    return messages
