"""The catalogue of models: the embedded ones and those of the settings, by their names."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from earmark.checkpoints import store
from earmark.checkpoints.checkpoint import COMMIT, Checkpoint
from earmark.checkpoints.hub_cache import snapshot
from earmark.checkpoints.reader import embedded, read
from earmark.config import settings as config
from earmark.errors import ModelError
from earmark.hints import did_you_mean

Origin = Literal["embedded", "folder", "hub"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A model that can be asked for. Whether its folder exists and holds a checkpoint shows when it is read."""

    id: str
    path: Path | None = None  # None: a model of the Hub, fetched before
    revision: str | None = None
    aliases: tuple[str, ...] = ()
    default: bool = False
    origin: Origin = "folder"
    where: str = ""  # the table of the settings that names it
    function: config.Function | None = None
    labels: tuple[str, ...] = ()

    def read(self) -> Checkpoint:
        """Read the checkpoint in its folder, and name it as the settings do. Raises ModelError."""
        return self.named(read(self.folder(), self.id))

    def named(self, checkpoint: Checkpoint) -> Checkpoint:
        """Return its checkpoint with the labels and the function of the settings. Raises ModelError."""
        return checkpoint.named(self.labels, self.function, self.where)

    def public(self, text: str) -> str:
        """Return the sentence of an error without the local path that it may name."""
        with contextlib.suppress(ModelError):
            folder = self.folder()
            for path in {str(folder), str(folder.resolve())}:
                text = text.replace(path, self.id)
        return text

    def folder(self) -> Path:
        """Return its folder. For a model of the Hub that is what `earmark pull` keeps, else the Hub's own cache."""
        if self.path is not None:
            return self.path
        commit = self.revision if self.revision and COMMIT.fullmatch(self.revision) else None
        pulled = store.find(self.id, commit) if commit or self.revision is None else None
        return pulled or snapshot(self.id, self.revision)


def catalogue(settings: config.Config) -> dict[str, Entry]:
    """Return all entries by id.

    A model of the settings with a path or a revision takes the place of an embedded one of the same name. Without, it
    is the embedded one, with further aliases or as the default.
    """
    entries = {name: Entry(name, path, origin="embedded") for name, path in embedded().items()}
    for index, model in enumerate(settings.model):
        where, known = f"model[{index}]", entries.get(model.name)
        if known is not None and model.path is None and model.revision is None:
            entries[model.name] = replace(
                known,
                aliases=model.aliases,
                default=model.default,
                where=where,
                function=model.function,
                labels=model.labels,
            )
            continue
        entries[model.name] = Entry(
            model.name,
            Path(model.path) if model.path is not None else None,
            model.revision,
            model.aliases,
            model.default,
            "folder" if model.path is not None else "hub",
            where,
            model.function,
            model.labels,
        )
    return entries


def by_name(entries: dict[str, Entry]) -> dict[str, Entry]:
    """Return the entries by id and by alias. If an id and an alias are equal, the id wins."""
    return {alias: entry for entry in entries.values() for alias in entry.aliases} | entries


def unknown(name: str, names: Mapping[str, Entry]) -> str:
    """Return the sentence that no entry is called `name`, with the one that may be meant, and all that there are."""
    hint = did_you_mean(name, names)
    there_are = f"there are {', '.join(sorted({entry.id for entry in names.values()}))}"
    return f"Model {name} does not exist; {hint}{' ' if hint else ''}{there_are}"
