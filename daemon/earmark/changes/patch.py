"""A patch of one classifier, merged with the settings in force and checked as a configuration file is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any

import msgspec

from earmark.changes.difference import LABEL_SET
from earmark.config.file import parse
from earmark.config.labels import REJECTED
from earmark.config.settings import Config
from earmark.errors import ConfigError
from earmark.hints import did_you_mean

TABLES = ("decide", "vad")
"""The tables that a patch may hold. It may also hold what LABEL_SET names. All else is begun anew by a reload."""


def patched(config: Config, name: str, changes: Mapping[str, object], labels: Sequence[str]) -> Config:
    """Return `config` with changes of the classifier called `name`, which exists and whose model has `labels`.

    `changes` has the tables `decide` and `vad`, and in these the settings that change. The thresholds in
    `decide.labels` are merged with those in force, and None takes one away. It may also have another label set; then
    what the settings say of labels that are not in it any more is left out. Raises ConfigError, which names the
    setting: `decide.on: …`.
    """
    for table in changes:
        if table not in (*TABLES, *LABEL_SET):
            able = ", ".join((*TABLES, *LABEL_SET))
            raise ConfigError(f"{table}: only {able} can be changed; write it in the configuration, and reload")
    tables: dict[str, Any] = msgspec.to_builtins(config)
    index = next(index for index, classifier in enumerate(config.classifier) if classifier.name == name)
    tables["classifier"] = list(tables["classifier"])  # as a file would have it
    chosen = tables["classifier"][index]
    if relabelled := {name: changes[name] for name in LABEL_SET if name in changes}:
        chosen |= relabelled
        given = [chosen[name] for name in LABEL_SET[:2] if isinstance(chosen[name], Sequence)]
        labels = [*(str(label) for some in given for label in some), *chosen["groups"]]
        chosen["decide"] = _without(chosen["decide"], {*labels, *REJECTED})
    for table in [name for name in TABLES if name in changes]:
        wanted = changes[table]
        chosen[table] = _merged(chosen[table], wanted, labels) if isinstance(wanted, Mapping) else wanted
    try:
        return parse(tables)
    except ConfigError as error:
        raise ConfigError(without_table(str(error), index)) from None


def without_table(sentences: str, index: int) -> str:
    """Return the sentences without the `classifier[0].` with which they begin."""
    return "\n".join(line.removeprefix(f"classifier[{index}].") for line in sentences.splitlines())


def _without(decide: Mapping[str, Any], known: Set[str]) -> dict[str, Any]:
    """Return the settings without what they say of other labels than those that are known."""
    labels = {label: on for label, on in decide["labels"].items() if label in known}
    return {**decide, "labels": labels, "ignore": [label for label in decide["ignore"] if label in known]}


def _merged(old: Mapping[str, object], wanted: Mapping[str, object], known: Sequence[str]) -> dict[str, object]:
    merged = {**old, **wanted}
    labels, before = wanted.get("labels"), old.get("labels")
    if isinstance(labels, Mapping) and isinstance(before, Mapping):
        for label, on in labels.items():
            if on is None and label not in known and label not in before:
                hint = did_you_mean(label, known)
                raise ConfigError(f'decide.labels: the model has no label "{label}"{f"; {hint}" if hint else ""}')
        merged["labels"] = {label: on for label, on in {**before, **labels}.items() if on is not None}
    return merged
