"""A plant: the load and the machines for it; and what arithmetic says of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from benchmarks.simulation.costs import KNOWN, Costs

RATE = 16_000
USE = 0.6  # the part of a stage that a plan uses


@dataclass(frozen=True, slots=True)
class Plant:
    """What there is: the load, and the machines for it."""

    microphones: int = 100
    subscribers: int = 10_000
    duty: float = 0.15  # the part of the time in which somebody speaks
    talk: float = 4.0  # seconds for which somebody speaks, in the mean
    hop: float = 1.0  # seconds from window to window while somebody speaks
    window_seconds: float = 1.0  # the length of a window
    events: float = 1.2  # events for each window: its result, and labels now and then
    follow: int = 1  # sources that a subscriber follows, by a filter of its own; 0: all, without a filter
    bytes_per_sample: int = 4  # 2 would be 16-bit samples on the wire
    daemons: int = 1
    replicas: int = 1  # of the model
    is_remote: bool = False  # the replicas are on other machines, and there is NATS
    max_batch: int = 32
    in_flight: int = 4  # batches of a daemon at the replicas
    queue: int = 1024  # windows that wait in a daemon; then the oldest is dropped
    max_age: float = 2.0  # seconds after which a window is not sent any more
    gateways: int = 1
    parts: int = 1  # the sources are divided among so many groups of gateways
    backlog: float = 5.0  # seconds that an event may wait at a gateway or at NATS before it is lost

    @property
    def windows(self) -> float:
        """Windows a second, in the mean."""
        return self.microphones * self.duty / self.talk * self.windows_per_talk

    @property
    def windows_per_talk(self) -> float:
        """One at the end of each hop that somebody speaks through, and at least one."""
        through = math.exp(-self.hop / self.talk)
        return 1 + through**2 / (1 - through)

    @property
    def receivers(self) -> float:
        """Subscribers at a gateway who get an event that comes to it, in the mean."""
        here = self.subscribers / self.gateways
        return here * min(1.0, self.follow * self.parts / self.microphones) if self.follow else here

    @property
    def wire(self) -> float:
        """Megabytes a second from all daemons to the replicas."""
        return self.windows * self.window_seconds * RATE * self.bytes_per_sample / 1e6


def planned(load: Plant, costs: Costs = KNOWN, use: float = USE) -> Plant:
    """Return the load with the machines that arithmetic gives it, no stage busier than `use`: the plan on paper.

    One daemon serves as many microphones as its segmenter allows, and 500 at most. All is on one machine if one replica
    and one daemon are enough and there are no more than 5,000 subscribers.
    """
    each = costs.quiet + load.duty * (costs.speaking - costs.quiet)
    daemons = max(1, math.ceil(load.microphones * each / use), math.ceil(load.microphones / 500))
    a_batch = costs.window + costs.batch / 2  # batches of two windows: they fill only where it is busy
    replicas = max(1, math.ceil(load.windows * a_batch / use))
    if daemons == replicas == 1 and load.subscribers <= 5_000:
        return replace(load, daemons=1, replicas=1, gateways=1, parts=1, is_remote=False)
    gateways = max(2, math.ceil(load.subscribers / 10_000))
    remote = replace(load, daemons=daemons, replicas=replicas, is_remote=True)
    for parts in range(1, gateways + 1):
        count = math.ceil(gateways / parts) * parts
        plant = replace(remote, gateways=count, parts=parts)
        if expected(plant, costs)["gateways"] <= use:
            return plant
    return replace(remote, gateways=gateways, parts=gateways)


def expected(plant: Plant, costs: Costs = KNOWN) -> dict[str, float]:
    """Return how busy each stage is by arithmetic alone, with batches of one window."""
    events = plant.windows * plant.events
    work = costs.receive + costs.choose + plant.receivers * costs.deliver
    a_daemon = plant.microphones * costs.quiet + plant.windows * plant.hop * (costs.speaking - costs.quiet)
    use = {
        "daemons": a_daemon / plant.daemons,
        "replicas": plant.windows * (costs.window + costs.batch) / plant.replicas,
    }
    if plant.is_remote:
        use["nats"] = events * (costs.store + plant.gateways / plant.parts * costs.send)
    use["gateways"] = events / plant.parts * work
    return use
