"""Which kept clips a request asks for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from earmark.archive.kept_clip import KeptClip
from earmark.broadcast.subscription import Subscription, parse
from earmark.errors import SubscriptionError
from earmark.hints import did_you_mean
from earmark.history.request import DEFAULT_LIMIT, MAX_LIMIT, parse_time

NAMES = ("sources", "classifiers", "labels")
TIMES = ("from", "to")
PAGING = ("cursor", "limit")


@dataclass(frozen=True, slots=True)
class ClipQuery:
    """A filter of clips; those before the key `before`, newest first, at most `limit`."""

    names: Subscription = field(default_factory=Subscription)
    from_time: datetime | None = None
    to_time: datetime | None = None
    before: str | None = None
    limit: int = DEFAULT_LIMIT

    def matches(self, clip: KeptClip) -> bool:
        """Return whether the filter chooses the clip, wherever it lies in the order."""
        names = self.names
        return (
            (not names.sources or clip.source in names.sources)
            and (not names.classifiers or clip.classifier in names.classifiers)
            and (not names.labels or clip.label in names.labels)
            and (self.from_time is None or clip.moment >= self.from_time)
            and (self.to_time is None or clip.moment < self.to_time)
        )

    def page(self, clips: Collection[KeptClip]) -> tuple[list[KeptClip], str | None]:
        """Return the clips that are chosen, and the key before which the next page begins, if there is one."""
        chosen = sorted((clip for clip in clips if self.matches(clip)), key=lambda clip: clip.key, reverse=True)
        if self.before is not None:
            chosen = [clip for clip in chosen if clip.key < self.before]
        page = chosen[: self.limit]
        return page, page[-1].key if len(chosen) > len(page) else None


def parse_query(
    parameters: Iterable[tuple[str, str]], now: Callable[[], datetime], *, paging: bool = True
) -> ClipQuery:
    """Return what the parameters of a URL ask for; `now` is UTC. Raises SubscriptionError, which names the parameter.

    Without `paging`, the whole filter is meant and no page of it.
    """
    own: dict[str, str] = {}
    names: list[tuple[str, str]] = []
    known = (*NAMES, *TIMES, *(PAGING if paging else ()))
    for name, value in parameters:
        if name not in known:
            hint = did_you_mean(name, known)
            raise SubscriptionError(
                f"{name[:64]}: no such parameter; {hint}{' ' if hint else ''}known are {', '.join(known)}"
            )
        if name in NAMES:
            names.append((name, value))
        elif name in own:
            raise SubscriptionError(f"{name}: given more than once, and one value is wanted")
        else:
            own[name] = value
    from_time, to_time = (parse_time(name, own[name], now) if name in own else None for name in TIMES)
    if from_time is not None and to_time is not None and from_time >= to_time:
        raise SubscriptionError("from: it is not before to")
    return ClipQuery(parse(names), from_time, to_time, own.get("cursor"), _limit(own.get("limit", str(DEFAULT_LIMIT))))


def _limit(value: str) -> int:
    if value.isascii() and value.isdigit() and len(value) < 10 and 1 <= int(value) <= MAX_LIMIT:
        return int(value)
    raise SubscriptionError(f"limit: {value[:64]!r} is not a number of clips, 1 to {MAX_LIMIT}")
