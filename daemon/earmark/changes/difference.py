"""What differs between the configuration in force and another one, and how much of it a running daemon can take."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from earmark.config.brokers import Publish
from earmark.config.settings import Classifier, Config, Model, Server
from earmark.config.sources import Source
from earmark.control.steering import Change, shown

TLS = frozenset({"certificate_file", "key_file"})
LIVE = frozenset({"token_file", "allow_hosts", "allow_origins", "absent_after", "trusted_proxies", "prefix"}) | TLS
"""The settings of [server] that a running daemon takes. All others of it need a restart, and so does TLS on or off."""

ITEMS = ("source", "classifier", "model", "publish")
"""The lists of the configuration. All other settings at its top need a restart, but those of [clips] without `path`."""


NAMING = ("function", "labels")
"""The settings of a model that begin the classifiers that use it anew."""

LABEL_SET = ("labels", "background", "template")
"""The settings of a classifier whose model takes its labels at run time."""

TUNABLE = ("decide", "vad", "top_k", "clips", "sources", *LABEL_SET)
"""The settings of a classifier that do not begin it anew."""


@dataclass(frozen=True, slots=True)
class Difference:
    """`config` is what is in force once `changes` were made. `restart` names the keys that differ and stay."""

    config: Config
    changes: tuple[Change, ...]
    restart: tuple[str, ...]


def difference(old: Config, new: Config, embedded: Container[str] = ()) -> Difference:
    """Return what differs. `embedded` are the names of the models that come with Earmark."""
    server, restart = _server(old.server, new.server)
    tops = [field.name for field in msgspec.structs.fields(Config) if field.name not in (*ITEMS, "server", "clips")]
    for name in tops:
        restart += _keys(name, getattr(old, name), getattr(new, name))
    clips = msgspec.structs.replace(new.clips, path=old.clips.path)
    restart += _keys("clips", clips, new.clips)
    models, held = _models(old.model, new.model, embedded)
    kept = {name: getattr(old, name) for name in tops}
    config = msgspec.structs.replace(new, server=server, clips=clips, model=models, **kept)
    changes = [
        *(Change(f"server.{name}", was, becomes) for name, was, becomes in _fields(old.server, server)),
        *(Change(f"clips.{name}", was, becomes) for name, was, becomes in _fields(old.clips, clips)),
        *_listed("source", old.source, config.source),
        *_listed("model", old.model, models),
        *_listed("classifier", old.classifier, config.classifier),
        *_listed("publish", old.publish, config.publish),
    ]
    return Difference(config, tuple(changes), (*restart, *held))


def _server(old: Server, new: Server) -> tuple[Server, list[str]]:
    """Return the settings that are in force afterwards, and the keys that need a restart."""
    live = LIVE if old.certificate_file and new.certificate_file else LIVE - TLS
    held = [name for name, _, _ in _fields(old, new) if name not in live]
    server = msgspec.structs.replace(new, **{name: getattr(old, name) for name in held})
    return server, [f"server.{name}" for name in held]


def _models(
    old: Sequence[Model], new: Sequence[Model], embedded: Container[str]
) -> tuple[tuple[Model, ...], list[str]]:
    """Return the models that are in force afterwards, and the keys that need a restart.

    What a name means cannot change while the model of that name may be in use.
    """
    known, wanted = {model.name: model for model in old}, {model.name for model in new}
    models: list[Model] = []
    held: list[str] = []
    for model in new:
        before = known.get(model.name) or (Model(name=model.name) if model.name in embedded else model)
        differing = [name for name in ("path", "revision") if getattr(model, name) != getattr(before, name)]
        held += [f"model[{model.name}].{name}" for name in differing]
        models.append(msgspec.structs.replace(model, **{name: getattr(before, name) for name in differing}))
    for model in old:
        if model.name not in wanted and model.name in embedded and (model.path or model.revision):
            held.append(f"model[{model.name}]")
            models.append(model)
    return tuple(models), held


def _listed(
    table: str,
    old: Sequence[Source] | Sequence[Model] | Sequence[Classifier] | Sequence[Publish],
    new: Sequence[Source] | Sequence[Model] | Sequence[Classifier] | Sequence[Publish],
) -> Iterator[Change]:
    """Yield the changes of a list of tables, whose items are known by their names."""
    before, after = {item.name: item for item in old}, {item.name: item for item in new}
    for name in [*before, *(name for name in after if name not in before)]:
        key, was, becomes = f"{table}[{name}]", before.get(name), after.get(name)
        if was is None or becomes is None or type(was) is not type(becomes):
            yield Change(key, _told(was), _told(becomes))
        else:
            for inner, *values in _fields(was, becomes):
                yield Change(f"{key}.{inner}", *(values if inner != "argv" else ("…", "…")))  # may contain passwords


def _told(item: Source | Model | Classifier | Publish | None) -> object:
    """Return an item as it may be shown to everybody."""
    if item is None or isinstance(item, Model | Classifier | Publish):
        return msgspec.to_builtins(item)
    return shown(item)


def _fields(old: msgspec.Struct, new: msgspec.Struct) -> Iterator[tuple[str, object, object]]:
    """Yield name and both values of each setting that differs; those of inner tables as `decide.on`."""
    for name in old.__struct_fields__:
        before, after = getattr(old, name), getattr(new, name)
        if before == after:
            continue
        if isinstance(before, msgspec.Struct) and isinstance(after, msgspec.Struct):
            yield from ((f"{name}.{inner}", was, becomes) for inner, was, becomes in _fields(before, after))
        else:
            yield name, msgspec.to_builtins(before), msgspec.to_builtins(after)


def different(old: msgspec.Struct, new: msgspec.Struct) -> list[str]:
    """Return the names of the settings of a table that differ."""
    return [name for name, _, _ in _fields(old, new)]


def _keys(name: str, old: object, new: object) -> list[str]:
    """Return the keys of a table, or the one key, that differ."""
    if isinstance(old, msgspec.Struct) and isinstance(new, msgspec.Struct):
        return [f"{name}.{inner}" for inner in different(old, new)]
    return [] if old == new else [name]


Pair = tuple[str, str]
"""A source and a classifier that hears it."""


@dataclass(frozen=True, slots=True)
class Steps:
    """What must be done with sources and with classifiers on sources that stay.

    A source that is `replaced` is closed and opened with other settings. Of a classifier that is `tuned`, only numbers
    differ that it can take without losing anything; one that is `changed` is begun anew, and so is one that is new.
    """

    removed: tuple[str, ...]
    replaced: tuple[str, ...]
    added: tuple[str, ...]
    left: tuple[Pair, ...]
    changed: tuple[Pair, ...]
    tuned: tuple[Pair, ...]

    def relabelled(self, old: Config, new: Config) -> frozenset[str]:
        """Return the classifiers that are tuned, of which the labels differ that are given at run time."""
        was, becomes = ({each.name: each for each in config.classifier} for config in (old, new))
        return frozenset(
            name
            for _, name in self.tuned
            if any(getattr(was[name], setting) != getattr(becomes[name], setting) for setting in LABEL_SET)
        )


def steps(old: Config, new: Config) -> Steps:
    """Return what leads from one configuration to another."""
    before, after = {item.name: item for item in old.source}, {item.name: item for item in new.source}
    replaced = [name for name in after if name in before and not _same_source(before[name], after[name])]
    stay = {name for name in after if name in before and name not in replaced}
    was, becomes = _heard(old), _heard(new)
    both = [pair for pair in becomes if pair in was]
    renamed = _renamed(old, new)
    begun = [
        pair
        for pair, classifier in becomes.items()
        if pair not in was or not _tunable(was[pair], classifier) or renamed.intersection(classifier.models)
    ]
    return Steps(
        removed=tuple(name for name in before if name not in after),
        replaced=tuple(replaced),
        added=tuple(name for name in after if name not in before),
        left=tuple(pair for pair in was if pair not in becomes and pair[0] in stay),
        changed=tuple(pair for pair in begun if pair[0] in stay),
        tuned=tuple(
            pair
            for pair in both
            if pair not in begun
            and pair[0] in stay
            and (_numbers_differ(was[pair], becomes[pair]) or (becomes[pair].clips and old.clips != new.clips))
        ),
    )


def _renamed(old: Config, new: Config) -> set[str]:
    """Return the models whose labels or function the two configurations tell otherwise."""
    before, after = ({model.name: model for model in config.model} for config in (old, new))
    return {
        name
        for name in before.keys() | after.keys()
        if _naming(before.get(name) or Model(name=name)) != _naming(after.get(name) or Model(name=name))
    }


def _naming(model: Model) -> list[object]:
    return [getattr(model, name) for name in NAMING]


def _heard(config: Config) -> Mapping[Pair, Classifier]:
    everything = tuple(source.name for source in config.source)
    return {
        (source, classifier.name): classifier
        for classifier in config.classifier
        for source in classifier.sources or everything
    }


def _same_source(old: Source, new: Source) -> bool:
    """Whether two settings of a source differ in nothing but their quiet hours."""
    return type(old) is type(new) and msgspec.structs.replace(new, quiet=old.quiet) == old


def _tunable(old: Classifier, new: Classifier) -> bool:
    """Whether two settings of a classifier differ in nothing but what can be tuned, or which sources it hears."""
    return msgspec.structs.replace(new, **{name: getattr(old, name) for name in TUNABLE}) == old


def _numbers_differ(old: Classifier, new: Classifier) -> bool:
    return msgspec.structs.replace(new, sources=old.sources) != old
