"""A run of a plant: what happens when, how busy each stage is, what is lost, and how late the rest is."""

from __future__ import annotations

import heapq
import math
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.simulation.costs import KNOWN, Costs
from benchmarks.simulation.plant import Plant

MOST_GATEWAYS = 3  # are simulated: all gateways are alike, so that more would only take longer


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

    def __init__(self, plant: Plant, costs: Costs = KNOWN, seed: int = 1, warm_up: float = 5.0) -> None:
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
