"""What the samples of a soak say: which figures grew, and which counts did not come back. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from benchmarks.growth import LEAST_POINTS, Sample, trend
from benchmarks.table import Row
from benchmarks.usage import Usage

COUNTS = ("descriptors", "threads", "children", "tasks")
CONNECTIONS = 6  # to the journal's database at once, at most: two readers, the writer, and those that replace them
WORKER_WARM_UP = 120.0  # seconds in which a new model process meets every size of batch


@dataclass(frozen=True, slots=True)
class Figure:
    """What may grow by at most `bound` in ten minutes."""

    name: str
    unit: str
    bound: float
    of: Callable[[Usage], float]
    lives: bool = False  # of the model process, whose memory begins anew with each


FIGURES = (
    # 20 judged minutes of a daemon that is posted clips tell 1 MB in ten minutes from what the allocator does by chance
    Figure("memory of the daemon", "MB", 1.0, lambda usage: usage.daemon),
    Figure("memory of the model process", "MB", 2.0, lambda usage: usage.worker, lives=True),
    # Subscribers come and go by chance, and with them these. What leaks with each of a thousand is found all the same,
    # and what leaks once in ten minutes is found by the return to rest, which is exact.
    Figure("descriptors", "", 1.0, lambda usage: usage.descriptors),
    Figure("threads", "", 1.0, lambda usage: usage.threads),
    Figure("children", "", 1.0, lambda usage: usage.children),
    Figure("tasks", "", 1.0, lambda usage: usage.tasks),
)
LATE_BOUND, DELAY_BOUND = 5.0, 50.0  # ms in ten minutes; both depend on what else the machine does


def judged(looks: Sequence[Usage], warm: float) -> Iterator[Row]:
    """Yield the slope of each figure after `warm`, the second at which the warm-up ended."""
    after = [usage for usage in looks if usage.at >= warm]
    lives = life_numbers(after)
    series = [
        (
            figure,
            [
                Sample(usage.at, figure.of(usage), life if figure.lives else 0)
                for usage, life in zip(after, lives, strict=True)
                if figure.of(usage) > 0
            ],
        )
        for figure in FIGURES
    ]
    series.append((Figure("lateness of the event loop", "ms", LATE_BOUND, lambda _: 0), list(lateness(after))))
    delays = [Sample(usage.at, usage.delay) for usage in after if usage.delay]
    series.append((Figure("p95 of the delay of results", "ms", DELAY_BOUND, lambda _: 0), delays))
    for figure, samples in series:
        found = trend(samples, WORKER_WARM_UP)
        unit = f"{figure.unit} in 10 min".lstrip()
        if found.points < LEAST_POINTS:
            yield Row(f"growth: {figure.name} (too short to judge)", found.slope, unit)
        else:
            chance = " (may be chance)" if found.slope > figure.bound and not found.grows(figure.bound) else ""
            name = f"growth: {figure.name}{chance}"
            yield Row(name, found.slope, unit, f"≤ {figure.bound:g}", not found.grows(figure.bound))


def life_numbers(looks: Sequence[Usage]) -> list[int]:
    """Return a number for each look that rises when the model process is another one."""
    numbers = [0] * bool(looks)
    for before, after in pairwise(looks):
        numbers.append(numbers[-1] + (before.worker_pid != after.worker_pid))
    return numbers


def lateness(looks: Sequence[Usage]) -> Iterator[Sample]:
    """Yield the mean ms by which the event loop was late between two looks."""
    for before, after in pairwise(looks):
        if after.late[0] > before.late[0]:
            yield Sample(after.at, 1000 * (after.late[1] - before.late[1]) / (after.late[0] - before.late[0]))


def least(seen: Sequence[Usage]) -> Usage:
    """Return the last look with the least that was seen of each count: what is there always."""
    counts = {count: min(getattr(each, count) for each in seen) for count in COUNTS}
    return replace(seen[-1], **counts)


def came_back(before: Usage, after: Usage) -> bool:
    """Return whether no count is above what it was."""
    return all(getattr(after, count) <= getattr(before, count) for count in COUNTS)


def returned(before: Usage, after: Usage) -> Iterator[Row]:
    """Yield each count at rest at the end, beside that at rest after the warm-up, and the memory of both."""
    for count in COUNTS:
        most, now = getattr(before, count), getattr(after, count)
        yield Row(f"at rest: {count}", now, "", f"≤ {most}", now <= most)
    database = max(before.database, CONNECTIONS)
    yield Row("at rest: descriptors of the journal", after.database, "", f"≤ {database}", after.database <= database)
    yield Row("at rest: memory of the daemon, after the warm-up", before.daemon, "MB")
    yield Row("at rest: memory of the daemon, at the end", after.daemon, "MB")
