"""What a daemon answers over HTTP, typed. Fields that it leaves out are unknown, and other fields are ignored."""

from __future__ import annotations

from typing import Any

import msgspec


class Model(msgspec.Struct, frozen=True):
    """One entry of the daemon's list of models."""

    id: str
    aliases: tuple[str, ...] = ()
    default: bool = False
    origin: str = ""
    revision: str | None = None
    licence: str | None = None
    labels: tuple[str, ...] = ()
    rate: int | None = None  # Hz
    bytes: int | None = None
    state: str = ""
    why: str | None = None
    function: str = ""
    values: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    takes_labels: bool = False  # at run time


class Readiness(msgspec.Struct, frozen=True):
    """Whether the daemon can do what it is for, and what it lacks: for each purpose, what is missing and why."""

    ready: bool
    missing: dict[str, Any] = {}


class SourceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A source, its state and its settings. `rate` is its own, in Hz; 0 while it is unknown."""

    name: str
    state: str
    device: str = ""
    rate: int = 0
    detail: str = ""
    paused: bool = False
    settings: dict[str, Any] = {}


class ClassifierStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A classifier and the settings in force. `window` and `hop` are seconds.

    `thresholds` has the score at which each label goes on. `decide` and `vad` are what a PATCH takes, and so are the
    fields of `label_set` where the model takes its labels at run time. `groups` has the members of each label that
    stands for several, and `verify` the settings of a second look.
    """

    name: str
    model: str
    labels: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    gate: str = ""
    mode: str = ""
    window: float = 0.0
    hop: float = 0.0
    thresholds: dict[str, float] = {}
    decide: dict[str, Any] = {}
    vad: dict[str, Any] = {}
    label_set: dict[str, Any] | None = None
    groups: dict[str, tuple[str, ...]] = {}
    verify: dict[str, Any] | None = None


class Change(msgspec.Struct, frozen=True):
    """One setting became another. `key` is like `classifier[emotion].decide.on`."""

    key: str
    before: Any = None
    after: Any = None


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """What a reload changed. `restart` names the keys that differ and need a restart: they stay as they are."""

    changed: tuple[Change, ...] = ()
    restart: tuple[str, ...] = ()


class SourceChanged(SourceStatus, frozen=True, kw_only=True):
    """A source after a change, and what changed."""

    changed: tuple[Change, ...] = ()
    restart: tuple[str, ...] = ()


class ClassifierChanged(ClassifierStatus, frozen=True, kw_only=True):
    """A classifier after a change, what changed, and the lines of the configuration that would keep it (`toml`)."""

    changed: tuple[Change, ...] = ()
    restart: tuple[str, ...] = ()
    toml: str = ""
