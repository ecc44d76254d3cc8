"""The subscribers in groups of equal filters, and which groups an event can concern, by its source."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from earmark.broadcast.subscriber import Subscriber
from earmark.broadcast.subscription import Subscription

MOST_INDEXED = 100
"""Sources of a filter that the index holds: each takes 230 bytes there, and a client may name thousands."""


@dataclass(slots=True)
class Group:
    """The subscribers with one filter: those that keep up, each with its write(), and those that have a backlog.

    They are dicts and not lists or sets: in the order of joining, members lie side by side in memory, which is 7 % of a
    delivery, and one that falls behind is taken out at once.
    """

    subscription: Subscription
    ready: dict[Subscriber, Callable[[bytes], object]] = field(default_factory=dict)
    behind: dict[Subscriber, None] = field(default_factory=dict)

    def __contains__(self, subscriber: Subscriber) -> bool:
        return subscriber in self.ready or subscriber in self.behind

    def __len__(self) -> int:
        return len(self.ready) + len(self.behind)

    def falls_behind(self, subscriber: Subscriber) -> None:
        """Note that events go to the subscriber's backlog from now on."""
        del self.ready[subscriber]
        self.behind[subscriber] = None

    def keeps_up(self, subscriber: Subscriber) -> None:
        """Note that events go to the subscriber at once from now on."""
        del self.behind[subscriber]
        self.ready[subscriber] = subscriber.write


class Groups:
    """All groups, with an index by source, so that an event is held against the filters alone that it can concern.

    A filter that names more than MOST_INDEXED sources stands with those that name none, and events are held against it.
    """

    def __init__(self) -> None:
        self._all: dict[Subscription, Group] = {}
        self._of_any: dict[Subscription, Group] = {}  # the filters that name no source, or very many
        self._of_source: dict[str, dict[Subscription, Group]] = {}  # the others, once for each source that they name

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Group]:
        return iter(self._all.values())

    def of(self, subscriber: Subscriber) -> Group | None:
        """Return the group that the subscriber is in, or None if it is in none."""
        group = self._all.get(subscriber.subscription)
        return group if group is not None and subscriber in group else None

    def concerned(self, sources: Iterable[str] | None) -> list[Group]:
        """Return the groups, each once, that events of these sources can concern; None: of any source, or of none."""
        if sources is None:
            return list(self._all.values())
        found = dict(self._of_any)
        for source in sources:
            found |= self._of_source.get(source, {})
        return list(found.values())

    def add(self, subscriber: Subscriber) -> None:
        """Put the subscriber, which keeps up, into the group of its filter."""
        subscription = subscriber.subscription
        group = self._all.get(subscription)
        if group is None:
            group = self._all[subscription] = Group(subscription)
            for index in self._indexes(subscription):
                index[subscription] = group
        group.ready[subscriber] = subscriber.write

    def remove(self, subscriber: Subscriber) -> None:
        """Take the subscriber out of its group, if it is in one."""
        group = self.of(subscriber)
        if group is None:
            return
        group.ready.pop(subscriber, None)
        group.behind.pop(subscriber, None)
        if len(group):
            return
        subscription = group.subscription
        del self._all[subscription]
        for index in self._indexes(subscription):
            del index[subscription]
        for source in subscription.sources:
            if not self._of_source.get(source, True):
                del self._of_source[source]

    def _indexes(self, subscription: Subscription) -> list[dict[Subscription, Group]]:
        if not 0 < len(subscription.sources) <= MOST_INDEXED:
            return [self._of_any]
        return [self._of_source.setdefault(source, {}) for source in subscription.sources]
