"""What can be asked of and changed in a running daemon, without the code that does it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from earmark.config.settings import Decide, Vad, Verify
from earmark.config.sources import Source
from earmark.protocol.events import ClassifierInfo, LabelSet, SourceState


@dataclass(frozen=True, slots=True)
class Change:
    """One setting of the running daemon became another. `key` is like `classifier[emotion].decide.on`."""

    key: str
    before: object
    after: object


@dataclass(frozen=True, slots=True)
class Changed:
    """What a request changed. `restart` names the keys that differ and need a restart: they stay as they are."""

    changes: tuple[Change, ...] = ()
    restart: tuple[str, ...] = ()


class SourceStatus(msgspec.Struct, frozen=True):
    """A source, its state and its settings (see shown()). `rate` is its own, in Hz; 0 while it is unknown."""

    name: str
    state: SourceState
    device: str
    rate: int
    detail: str
    paused: bool
    settings: dict[str, Any]


def shown(settings: Source) -> dict[str, Any]:
    """Return the settings of a source for everybody who may see it: without `argv`, which can contain passwords."""
    content: dict[str, Any] = msgspec.to_builtins(settings)
    content.pop("argv", None)
    return content


class ClassifierStatus(msgspec.Struct, frozen=True):
    """A classifier and the settings in force. `window` and `hop` are seconds.

    `thresholds` has the score at which each label goes on; labels that never go on are left out. `decide` and `vad`
    are as the configuration has them, with defaults filled in; a PATCH takes the same. `label_set` is there where the
    model takes its labels at run time, and then a PATCH takes its fields, too. `groups` and `verify` are there where
    the configuration has them; a reload changes them.
    """

    name: str
    model: str
    labels: tuple[str, ...]
    sources: tuple[str, ...]
    gate: str
    mode: str
    window: float
    hop: float
    thresholds: dict[str, float]
    decide: Decide
    vad: Vad
    label_set: LabelSet | msgspec.UnsetType = msgspec.UNSET
    groups: Mapping[str, tuple[str, ...]] | msgspec.UnsetType = msgspec.UNSET
    verify: Verify | msgspec.UnsetType = msgspec.UNSET


def classifier_status(
    info: ClassifierInfo,
    decide: Decide,
    vad: Vad,
    reserved: Collection[str] = (),
    groups: Mapping[str, tuple[str, ...]] | None = None,
    verify: Verify | None = None,
) -> ClassifierStatus:
    """Return the status of the classifier that `info` describes, with these settings in force.

    Those of its labels that are `reserved` go on only if they have a threshold of their own.
    """
    never = {*decide.ignore, *(info.label_set.background if info.label_set else ())}
    never |= {*reserved} - decide.labels.keys()
    thresholds = {label: decide.labels.get(label, decide.on) for label in info.labels if label not in never}
    return ClassifierStatus(
        info.name,
        info.model,
        info.labels,
        info.sources,
        info.gate,
        info.mode,
        info.window,
        info.hop,
        thresholds,
        decide,
        vad,
        info.label_set,
        groups or msgspec.UNSET,
        verify or msgspec.UNSET,
    )


class Steering(Protocol):
    """The running daemon, as the routes of this package see it. On the event loop.

    Names are those of `sources()` and `classifiers()`: the caller has looked. What is changed lasts until the next
    reload or restart. A request that raises has changed nothing.
    """

    def sources(self) -> tuple[SourceStatus, ...]: ...

    def classifiers(self) -> tuple[ClassifierStatus, ...]: ...

    def unsaved(self, name: str) -> Mapping[str, Collection[str]]:
        """Return the settings of a classifier that are not as the configuration was read.

        They are those of `decide` and `vad`, and under `label_set` those of the labels that are given at run time.
        """
        ...

    async def patch_classifier(self, name: str, changes: Mapping[str, object]) -> Changed:
        """Change settings: `{"decide": {...}, "vad": {...}, "labels": [...]}`, decoded from JSON and not yet checked.

        Tables are merged (RFC 7396), so settings that are not named stay. In `decide.labels`, None takes a label's own
        threshold away. `labels`, `background` and `template` are for a model that takes its labels at run time; all
        its labels that are on go off. Raises ConfigError, which names the field, such as `decide.on`, and WorkerError
        if the model process does not serve.
        """
        ...

    async def patch_source(self, name: str, changes: Mapping[str, object]) -> Changed:
        """Pause a source or let it go on: `{"paused": true}`, not yet checked. Raises ConfigError."""
        ...

    async def reload(self) -> Changed:
        """Read the configuration again and apply it, as SIGHUP does. Raises as patch_classifier() does.

        Raises another EarmarkError if a part of the daemon did not answer in the middle of the change.
        """
        ...
