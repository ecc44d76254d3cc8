"""A daemon that can be steered, without the daemon."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from earmark.changes.difference import different
from earmark.config.settings import Decide, Vad
from earmark.config.sources import Microphone
from earmark.control.steering import Change, Changed, ClassifierStatus, SourceStatus, classifier_status, shown
from earmark.errors import ConfigError, EarmarkError
from tests.serving import CLASSIFIERS


class FakeSteering:
    """A source `desk`, two classifiers. Only `decide`, `vad` and `paused` change. `broken` and `stuck` fail reloads."""

    def __init__(self) -> None:
        self.paused = False
        self.settings = {info.name: (Decide(), Vad()) for info in CLASSIFIERS}
        self.reloads = 0
        self.broken = ""
        self.stuck = ""

    def sources(self) -> tuple[SourceStatus, ...]:
        settings = shown(Microphone(name="desk"))
        return (SourceStatus("desk", "listening", "USB Microphone", 16000, "", self.paused, settings),)

    def classifiers(self) -> tuple[ClassifierStatus, ...]:
        return tuple(classifier_status(info, *self.settings[info.name]) for info in CLASSIFIERS)

    def unsaved(self, name: str) -> Mapping[str, Sequence[str]]:
        return dict(zip(("decide", "vad"), map(different, (Decide(), Vad()), self.settings[name]), strict=True))

    async def patch_classifier(self, name: str, changes: Mapping[str, object]) -> Changed:
        groups = dict(zip(("decide", "vad"), self.settings[name], strict=True))
        found: list[Change] = []
        for group, named in changes.items():
            assert isinstance(named, Mapping)
            before = msgspec.to_builtins(groups[group])
            try:
                groups[group] = msgspec.convert(before | dict(named), type(groups[group]))
            except msgspec.ValidationError as error:
                raise ConfigError(f"{group}: {error}") from None
            found += [
                Change(f"classifier[{name}].{group}.{key}", before[key], value)
                for key, value in named.items()
                if before[key] != value
            ]
        decide, vad = groups["decide"], groups["vad"]
        assert isinstance(decide, Decide)
        assert isinstance(vad, Vad)
        self.settings[name] = decide, vad
        return Changed(tuple(found))

    async def patch_source(self, name: str, changes: Mapping[str, object]) -> Changed:
        before, self.paused = self.paused, bool(changes.get("paused", self.paused))
        return Changed(() if before == self.paused else (Change(f"source[{name}].paused", before, self.paused),))

    async def reload(self) -> Changed:
        if self.stuck:
            raise EarmarkError(self.stuck)
        if self.broken:
            raise ConfigError(self.broken)
        self.reloads += 1
        return Changed((), ("server.listen",))
