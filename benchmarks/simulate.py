"""Simulate many microphones, daemons, model replicas and gateways, from measured costs, before anybody buys them.

Microphones speak and fall silent by chance. Their windows go through the segmenter of their daemon, in batches to the
replicas, and as events through NATS to the gateways, which send them to their subscribers. The simulation says how busy
each stage is, how late the last subscriber of an event gets it, what is lost where, and what saturates first.

    python -m benchmarks.simulate                                   the steps of docs/scaling.md
    python -m benchmarks.simulate --costs bench.json                with the figures of `python -m benchmarks --json`
    python -m benchmarks.simulate --microphones 300 --replicas 2    one plant

Nothing here measures: costs that were never measured are assumptions, and `--sources` tells which.
"""

from __future__ import annotations

import argparse
import heapq
import json
import math
import random
import re
import sys
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from earmark.columns import padded

RATE = 16_000
STEPS = (1, 10, 100, 1_000, 10_000)
MOST_GATEWAYS = 3  # are simulated: all gateways are alike, so that more would only take longer
USE = 0.6  # the part of a stage that a plan uses


@dataclass(frozen=True, slots=True)
class Costs:
    """What each piece of work takes of its stage, in seconds unless the name says otherwise."""

    quiet: float = 1 / 3399  # of the segmenter's core, for a second of sound whose gate is closed
    speaking: float = 1 / 441.4  # the same, with an open gate
    window: float = 1 / 161.1  # of a replica with two cores, for a window in a batch
    batch: float = 0.001  # of a replica, for each batch besides
    network: float = 0.002  # one way, between two machines
    store: float = 50e-6  # of NATS, to keep an event
    send: float = 2e-6  # of NATS, to send it to one gateway
    receive: float = 28e-6  # of a gateway, to read an event from NATS
    choose: float = 9.2e-6  # of a gateway, to find who wants an event, among 10,000 distinct filters by source
    deliver: float = 10.27e-6  # of a gateway, for an event and subscriber
    subscriber_kb: float = 16.85  # memory of a gateway, for each subscriber
    event_bytes: float = 318


SOURCES = {
    "quiet": "docs/benchmarks.md, 2026-11-22: quiet streams a core, 512 at once",
    "speaking": "docs/benchmarks.md, 2026-11-22: speaking streams a core, 512 at once",
    "window": "docs/benchmarks.md, 2026-11-22: embedded model, fp32, through the worker, on two cores",
    "batch": "an assumption",
    "network": "an assumption",
    "store": "an assumption, between 7 µs in a burst and 340 µs one by one (benchmarks.scale nats, 2026-11-27)",
    "send": "an assumption, between 2.4 µs in a burst and 27 µs one by one (benchmarks.scale nats, 2026-11-27)",
    "receive": "benchmarks.scale nats, run of 2026-11-27: each gateway more, an event in a burst",
    "choose": "Hub.publish() of an event with 10,000 filters by source, timed on 2026-11-27",
    "deliver": "docs/benchmarks.md, 2026-11-26: CPU of an event and subscriber, 5,000 subscribers",
    "subscriber_kb": "docs/benchmarks.md, 2026-11-26: memory of one, 5,000 subscribers",
    "event_bytes": "a result with five labels, as JSON",
}

MEASURES: dict[str, tuple[str, Callable[[float], float]]] = {
    "quiet": (r"listening: quiet streams a core, 512 at once", lambda streams: 1 / streams),
    "speaking": (r"listening: speaking streams a core, 512 at once", lambda streams: 1 / streams),
    "window": (r"worker: embedded model, fp32.*: through the worker", lambda rate: 1 / rate),
    "deliver": (r"5,000 subscribers: CPU of an event and subscriber|fan-out to 2000: a delivery", lambda us: us / 1e6),
    "subscriber_kb": (r"5,000 subscribers: memory of one", lambda kb: kb),
}
"""The measures of `python -m benchmarks --json` that replace a cost."""


def measured(rows: list[dict[str, Any]], file: str) -> tuple[Costs, dict[str, str]]:
    """Return the costs by the rows of a run, and where each comes from. What the run lacks stays as it is."""
    found: dict[str, float] = {}
    sources = dict(SOURCES)
    for name, (pattern, cost) in MEASURES.items():
        row = next((row for row in rows if re.fullmatch(pattern, row["measure"])), None)
        if row is not None and row["value"] > 0:
            found[name] = cost(row["value"])
            sources[name] = f"{file}: {row['measure']}"
    return replace(Costs(), **found), sources


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


@dataclass(slots=True)
class Server:
    """One server that takes work in the order of its arrival, and how busy it was."""

    free_at: float = 0.0
    busy: float = 0.0
    served: int = 0

    def wait(self, now: float) -> float:
        """Return the seconds that work of this moment would wait."""
        return max(0.0, self.free_at - now)

    def serve(self, now: float, work: float) -> float:
        """Take work. Returns when it is done."""
        self.free_at = max(self.free_at, now) + work
        self.busy += work
        self.served += 1
        return self.free_at


@dataclass(slots=True)
class Queue:
    """What happens when: the calls in the order of their times."""

    now: float = 0.0
    _calls: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _number: int = 0

    def at(self, when: float, call: Callable[[], None]) -> None:
        """Have it called at that time; of two at the same time, the one that was named first."""
        heapq.heappush(self._calls, (when, self._number, call))
        self._number += 1

    def run(self, until: float) -> None:
        """Make the calls up to that time."""
        while self._calls and self._calls[0][0] <= until:
            self.now, _, call = heapq.heappop(self._calls)
            call()
        self.now = until


@dataclass(slots=True)
class Daemon:
    """One daemon: its segmenter, and the windows that wait for a replica, by the times at which they were complete."""

    segmenter: Server = field(default_factory=Server)
    waiting: deque[float] = field(default_factory=deque)
    away: int = 0  # batches at the replicas


@dataclass(slots=True)
class Replica:
    """One replica: it computes what waits at it in one go, at most `max_batch` windows."""

    waiting: deque[tuple[Daemon, list[float]]] = field(default_factory=deque)
    held: int = 0  # windows that wait or are computed
    is_busy: bool = False
    busy: float = 0.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run showed. `use` is the busy part of each stage, `lost` the lost part of the windows or events."""

    use: dict[str, float]
    lost: dict[str, float]
    windows: int
    mean: float  # seconds from the last sample of a window to the last subscriber of its event at a gateway
    p50: float
    p99: float
    batch: float  # windows in a batch at a replica, in the mean

    @property
    def first(self) -> str:
        """The busiest stage: what saturates first when the load grows."""
        return max(self.use, key=lambda stage: self.use[stage])


class Simulation:
    """A run of one plant, with all its chance from one seed."""

    def __init__(self, plant: Plant, costs: Costs = Costs(), seed: int = 1, warm_up: float = 5.0) -> None:
        self._plant, self._costs, self._warm_up = plant, costs, warm_up
        self._random, self._queue = random.Random(seed), Queue()
        self._daemons = [Daemon() for _ in range(plant.daemons)]
        self._replicas = [Replica() for _ in range(plant.replicas)]
        self._gateways = [Server() for _ in range(min(plant.gateways, MOST_GATEWAYS))]
        self._nats = Server()
        self._lags: list[float] = []
        self._lost = dict.fromkeys(("capture", "overload", "nats", "gateway"), 0)
        self._windows, self._events, self._arrivals, self._batches, self._batched = 0, 0, 0, 0, 0
        self._share = 1 / plant.parts
        self._work = costs.receive + costs.choose + plant.receivers * costs.deliver
        # What the sound that is always there leaves of the segmenter's core for the sound in which somebody speaks
        idle = plant.microphones / plant.daemons * costs.quiet
        self._segmenting = plant.hop * (costs.speaking - costs.quiet)
        self._idle = idle
        self._pace = max(1e-3, 1 - idle)

    def run(self, seconds: float) -> Outcome:
        """Simulate so many seconds after the warm-up. Returns what they showed."""
        plant = self._plant
        for number in range(plant.microphones):
            daemon = self._daemons[number % plant.daemons]
            speaks = self._random.random() < plant.duty
            self._queue.at(0.0, self._talking(daemon) if speaks else self._silent(daemon))
        self._queue.run(self._warm_up)
        servers = [*(daemon.segmenter for daemon in self._daemons), self._nats, *self._gateways]
        for server in servers:
            server.busy = 0.0
        for replica in self._replicas:
            replica.busy = 0.0
        self._lags.clear()
        self._lost = dict.fromkeys(self._lost, 0)
        self._windows = self._events = self._arrivals = self._batches = self._batched = 0
        self._queue.run(self._warm_up + seconds)
        return self._outcome(seconds)

    def _outcome(self, seconds: float) -> Outcome:
        plant, lags = self._plant, sorted(self._lags)
        listening = sum(each.segmenter.busy for each in self._daemons) / plant.daemons / seconds * self._pace
        use = {
            "daemons": self._idle + listening,
            "replicas": sum(each.busy for each in self._replicas) / plant.replicas / seconds,
        }
        if plant.is_remote:
            use["nats"] = self._nats.busy / seconds
        use["gateways"] = sum(each.busy for each in self._gateways) / len(self._gateways) / seconds
        of = {"capture": self._windows, "overload": self._windows, "nats": self._events, "gateway": self._arrivals}
        return Outcome(
            use=use,
            lost={stage: count / max(1, of[stage]) for stage, count in self._lost.items()},
            windows=self._windows,
            mean=sum(lags) / len(lags) if lags else math.nan,
            p50=_percentile(lags, 0.5),
            p99=_percentile(lags, 0.99),
            batch=self._batched / max(1, self._batches),
        )

    def _silent(self, daemon: Daemon) -> Callable[[], None]:
        """Return what begins a silence."""

        def begin() -> None:
            mean = self._plant.talk * (1 - self._plant.duty) / self._plant.duty
            self._queue.at(self._queue.now + self._random.expovariate(1 / mean), self._talking(daemon))

        return begin

    def _talking(self, daemon: Daemon) -> Callable[[], None]:
        """Return what begins a talk: a window after each hop, but only one if it is short, and then a silence."""

        def begin() -> None:
            plant, began = self._plant, self._queue.now
            left = self._random.expovariate(1 / plant.talk)
            hops = max(1, int(left / plant.hop))
            if hops == 1:
                self._queue.at(began + left, lambda: self._complete(daemon))
            else:
                self._queue.at(began + plant.hop, self._hop(daemon, hops))
            self._queue.at(began + left, self._silent(daemon))

        return begin

    def _hop(self, daemon: Daemon, left: int) -> Callable[[], None]:
        """Return what completes a window, and has the next one follow."""

        def end() -> None:
            self._complete(daemon)
            if left > 1:
                self._queue.at(self._queue.now + self._plant.hop, self._hop(daemon, left - 1))

        return end

    def _complete(self, daemon: Daemon) -> None:
        """A window's last sample is there: the segmenter cuts it."""
        now = self._queue.now
        self._windows += 1
        if daemon.segmenter.wait(now) > self._plant.max_age:  # the intake is full
            self._lost["capture"] += 1
            return
        done = daemon.segmenter.serve(now, self._segmenting / self._pace)
        self._queue.at(done, lambda: self._cut(daemon, now))

    def _cut(self, daemon: Daemon, complete: float) -> None:
        """A window waits for a replica."""
        daemon.waiting.append(complete)
        if len(daemon.waiting) > self._plant.queue:
            daemon.waiting.popleft()
            self._lost["overload"] += 1
        self._send(daemon)

    def _send(self, daemon: Daemon) -> None:
        """Send a batch to the replica with the fewest windows, if the daemon may have one more away."""
        plant = self._plant
        while daemon.waiting and self._queue.now - daemon.waiting[0] > plant.max_age:
            daemon.waiting.popleft()
            self._lost["overload"] += 1
        most = plant.in_flight if plant.is_remote else 1
        if not daemon.waiting or daemon.away >= most:
            return
        taken = [daemon.waiting.popleft() for _ in range(min(plant.max_batch, len(daemon.waiting)))]
        daemon.away += 1
        chosen = min(self._replicas, key=lambda each: each.held)
        chosen.held += len(taken)
        self._queue.at(self._queue.now + self._network, lambda: self._arrive(chosen, daemon, taken))

    @property
    def _network(self) -> float:
        return self._costs.network if self._plant.is_remote else 0.0

    def _arrive(self, replica: Replica, daemon: Daemon, taken: list[float]) -> None:
        """A batch waits at a replica."""
        replica.waiting.append((daemon, taken))
        if not replica.is_busy:
            self._compute(replica)

    def _compute(self, replica: Replica) -> None:
        """Compute the batches that wait, as many as fit into one."""
        batches = [replica.waiting.popleft()]
        count = len(batches[0][1])
        while replica.waiting and count + len(replica.waiting[0][1]) <= self._plant.max_batch:
            batches.append(replica.waiting.popleft())
            count += len(batches[-1][1])
        work = self._costs.batch + count * self._costs.window
        replica.is_busy = True
        replica.busy += work
        self._batches += 1
        self._batched += count
        self._queue.at(self._queue.now + work, lambda: self._computed(replica, batches))

    def _computed(self, replica: Replica, batches: list[tuple[Daemon, list[float]]]) -> None:
        """Send the answers back, and go on with what waits."""
        replica.is_busy = False
        for daemon, taken in batches:
            replica.held -= len(taken)
            self._queue.at(self._queue.now + self._network, self._answered(daemon, taken))
        if replica.waiting:
            self._compute(replica)

    def _answered(self, daemon: Daemon, taken: list[float]) -> Callable[[], None]:
        def come() -> None:
            daemon.away -= 1
            for complete in taken:
                self._publish(complete)
            self._send(daemon)

        return come

    def _publish(self, complete: float) -> None:
        """Publish the events of a window: through NATS if there is one, else to the subscribers."""
        whole, rest = divmod(self._plant.events, 1)
        for _ in range(int(whole) + (self._random.random() < rest)):
            self._events += 1
            if not self._plant.is_remote:
                self._distribute(complete)
            elif self._nats.wait(self._queue.now) > self._plant.backlog:
                self._lost["nats"] += 1
            else:
                readers = self._plant.gateways / self._plant.parts
                stored = self._nats.serve(self._queue.now, self._costs.store + readers * self._costs.send)
                self._queue.at(stored + self._network, lambda: self._distribute(complete))

    def _distribute(self, complete: float) -> None:
        """Have each gateway that takes the source send the event to its subscribers."""
        now = self._queue.now
        for gateway in self._gateways:
            if self._share < 1 and self._random.random() >= self._share:
                continue
            self._arrivals += 1
            if gateway.wait(now) > self._plant.backlog:
                self._lost["gateway"] += 1
                continue
            self._lags.append(gateway.serve(now, self._work) - complete)


def _percentile(ordered: list[float], part: float) -> float:
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else math.nan


def planned(load: Plant, costs: Costs = Costs(), use: float = USE) -> Plant:
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


def expected(plant: Plant, costs: Costs = Costs()) -> dict[str, float]:
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


def steps(costs: Costs, seconds: float, seed: int) -> Iterator[list[str]]:
    """Yield the table of docs/scaling.md, row by row."""
    yield [
        *("microphones", "subscribers", "windows/s", "MB/s", "daemons", "replicas", "gateways", "NATS"),
        *("p50", "p99", "lost", "at ten times the load"),
    ]
    for count in STEPS:
        plant = planned(Plant(microphones=count, subscribers=100 * count), costs)
        found = Simulation(plant, costs, seed).run(_enough(plant, seconds))
        on_paper = expected(plant, costs)
        grown = replace(plant, microphones=10 * count, subscribers=1_000 * count)
        broken = Simulation(grown, costs, seed).run(_enough(grown, seconds) / 2)
        yield [
            *(f"{count:,}", f"{plant.subscribers:,}", f"{plant.windows:.4g}", f"{plant.wire:.3g}"),
            _busy(plant.daemons, "daemons", found, on_paper),
            _busy(plant.replicas, "replicas", found, on_paper),
            _busy(plant.gateways, "gateways", found, on_paper) + (f", {plant.parts} parts" if plant.parts > 1 else ""),
            f"{_share(found.use['nats'])} ({_share(on_paper['nats'])})" if plant.is_remote else "",
            *(f"{1000 * found.p50:.0f} ms", f"{1000 * found.p99:.0f} ms"),
            _losses(found),
            _breaks(broken, expected(grown, costs)),
        ]


def _enough(plant: Plant, seconds: float) -> float:
    """Return the time to simulate: longer for a plant with few windows, so that its percentiles mean something."""
    return max(seconds, min(3600.0, 20_000 / plant.windows))


def _busy(count: int, stage: str, found: Outcome, on_paper: dict[str, float]) -> str:
    return f"{count}: {_share(found.use[stage])} ({_share(on_paper[stage])})"


def _share(value: float) -> str:
    return f"{100 * value:.2g} %" if value < 0.1 else f"{100 * value:,.0f} %"


def _losses(found: Outcome) -> str:
    return ", ".join(f"{stage} {_share(part)}" for stage, part in found.lost.items() if part > 0) or "0"


def _breaks(broken: Outcome, on_paper: dict[str, float]) -> str:
    """Tell which stages have more work than they can do, the one with the most first, and what is lost of it."""
    order = sorted(on_paper, key=lambda stage: -on_paper[stage])
    over = [f"{stage} {_share(on_paper[stage])}" for stage in order if on_paper[stage] > 0.95]
    if not over:
        return f"holds, {order[0]} {_share(on_paper[order[0]])}; lost: {_losses(broken)}"
    return f"{', '.join(over)}; lost: {_losses(broken)}"


def main() -> int:
    """Print the steps, or one plant. Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.simulate", description="Simulate many microphones, models and subscribers."
    )
    parser.add_argument("--costs", type=Path, metavar="FILE", help="what `python -m benchmarks --json FILE` wrote")
    parser.add_argument("--sources", action="store_true", help="print each cost and where it comes from")
    parser.add_argument("--seconds", type=float, default=30.0, help="to simulate at least (default 30)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--window-ms", type=float, help="of a replica for each window; the most useful cost to change")
    for each in fields(Plant):
        name = f"--{each.name.replace('_', '-')}"
        if each.name == "is_remote":
            parser.add_argument("--remote", dest=each.name, action="store_const", const=True)
        else:
            parser.add_argument(name, type=int if each.type == "int" else float, dest=each.name)
    options = parser.parse_args()
    costs, sources = Costs(), SOURCES
    if options.costs:
        costs, sources = measured(json.loads(options.costs.read_text())["rows"], str(options.costs))
    if options.window_ms:
        costs = replace(costs, window=options.window_ms / 1000)
        sources = {**sources, "window": "--window-ms"}
    if options.sources:
        for line in padded([(name, f"{getattr(costs, name):.4g}", source) for name, source in sources.items()]):
            print("  ".join(line).rstrip())
        return 0
    given = {each.name: getattr(options, each.name) for each in fields(Plant)}
    chosen = {name: value for name, value in given.items() if value is not None}
    table = list(_one(Plant(**chosen), costs, options) if chosen else steps(costs, options.seconds, options.seed))
    for row in table[:1], [["---"] * len(table[0])], table[1:]:
        for cells in row:
            print(f"| {' | '.join(cells)} |")
    return 0


def _one(plant: Plant, costs: Costs, options: argparse.Namespace) -> Iterator[list[str]]:
    """Yield the table of one plant: each stage with what it was, and what arithmetic says."""
    found = Simulation(plant, costs, options.seed).run(options.seconds)
    yield ["of", "simulated", "by arithmetic"]
    for stage, share in expected(plant, costs).items():
        yield [stage, _share(found.use[stage]), _share(share)]
    yield ["windows a second", f"{found.windows / options.seconds:.4g}", f"{plant.windows:.4g}"]
    yield ["windows in a batch", f"{found.batch:.3g}", ""]
    yield ["lag, p50", f"{1000 * found.p50:.1f} ms", ""]
    yield ["lag, p99", f"{1000 * found.p99:.1f} ms", ""]
    yield ["lost", _losses(found), ""]


if __name__ == "__main__":
    sys.exit(main())
