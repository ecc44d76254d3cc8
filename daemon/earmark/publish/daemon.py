"""What publishers know of the daemon besides the events."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from earmark.config.settings import Decide
from earmark.history.kept import Kept
from earmark.protocol.events import ClassifierInfo, SourceInfo


@dataclass(frozen=True, slots=True)
class Daemon:
    """What there is to publish, asked again after each change of the configuration.

    `kept` has the past of the events, and tells where their numbering stands before the first event comes; None: no
    past.
    """

    sources: Callable[[], Sequence[SourceInfo]]
    classifiers: Callable[[], Sequence[tuple[ClassifierInfo, Decide]]]
    kept: Kept | None = None
