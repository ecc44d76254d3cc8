"""The names that a filter may choose, and what is said of one that does not exist."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from earmark.broadcast.subscription import Subscription
from earmark.errors import SubscriptionError
from earmark.hints import did_you_mean
from earmark.protocol.events import Hello
from earmark.protocol.names import quote

MAX_LISTED = 20  # names in an error: models of sound events have hundreds of labels
MAX_QUOTED = 64  # characters of a name that a client sent


@dataclass(frozen=True, slots=True)
class Known:
    """The sources and classifiers that exist. `classifiers` has the labels of each; none where they are not known."""

    sources: Sequence[str]
    classifiers: Mapping[str, Sequence[str]]

    @classmethod
    def of(cls, hello: Hello) -> Known:
        """Return the names that `hello` tells."""
        sources = tuple(source.name for source in hello.sources)
        return cls(sources, {each.name: each.labels for each in hello.classifiers})

    def check(self, subscription: Subscription) -> None:
        """Raise SubscriptionError for the first name that nothing bears: such a filter would never say anything.

        A label must be one of the classifiers that the filter chooses.
        """
        _check("sources", "source", subscription.sources, self.sources)
        _check("classifiers", "classifier", subscription.classifiers, self.classifiers)
        chosen = [name for name in self.classifiers if not subscription.classifiers or name in subscription.classifiers]
        if all(self.classifiers[name] for name in chosen):
            labels = dict.fromkeys(label for name in chosen for label in self.classifiers[name])
            whose = f"{' or '.join(chosen)} label" if subscription.classifiers else "label"
            _check("labels", whose, subscription.labels, labels)


def _check(parameter: str, kind: str, wanted: Iterable[str], known: Collection[str]) -> None:
    unknown = min((name for name in wanted if name not in known), default=None)
    if unknown is None:
        return
    names = list(map(quote, known))
    hint = did_you_mean(quote(unknown), names, cutoff=0.5)  # half of a name that was cut at its comma
    told = f"{hint} {_listed(names)}" if hint else _listed(names)
    raise SubscriptionError(f"{parameter}: there is no {kind} {quote(unknown[:MAX_QUOTED])}; {told}")


def _listed(names: Sequence[str]) -> str:
    if len(names) > MAX_LISTED:
        return f"known are {', '.join(names[:MAX_LISTED])} and {len(names) - MAX_LISTED} more"
    return f"known are {', '.join(names)}" if names else "there is none at all"
