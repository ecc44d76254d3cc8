"""All that may come and go around a running daemon, as tasks that choose by chance what to do next."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import socket
import struct
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from http.client import HTTPException
from pathlib import Path
from subprocess import SubprocessError

import numpy as np
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from benchmarks.healthy import Healthy
from benchmarks.player import RATE, Endless
from benchmarks.usage import info
from tests.posting import Client, encoded, noisy, word
from tests.pulse import Pulse

FILTERS = (
    "",
    "types=label",
    "types=result,label&top_k=1",
    "min_score=0.5",
    "every=2",
    "sources=s0,s1",
    "labels=stop,go",
)
POLICIES = ("oldest", "latest", "close")
READS = (
    *("/v1/events?limit=200", "/v1/events?types=label&limit=1000", "/v1/events?labels=stop&format=csv"),
    *("/metrics", "/info", "/ready", "/v1/sources", "/v1/classifiers", "/v1/models", "/openapi.json"),
    *("/v1/events?limit=nonsense", "/nowhere"),
)
HANDSHAKE = (
    "Host: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
)
POSTS = ("/models/earmark/commands", "/v1/analyze")
LONG_AT_ONCE = 4  # clips of twelve seconds
MOST_OF_THE_PAST = 3000  # events that a subscriber asks for
BLOCK = 3200  # bytes of sound in one message of a sender
Act = Callable[[random.Random], Awaitable[None]]


class Churn:
    """Tasks that act until the phase is over; then each ends what it is at, and closes what it has opened.

    `reload` writes another configuration, which the daemon is told to read. `played` are the pipes of the sources that
    `player` plays to.
    """

    def __init__(
        self,
        port: int,
        pid: int,
        healthy: Healthy,
        *,
        player: Endless,
        played: dict[str, Path],
        pulse: Pulse | None,
        reload: Callable[[random.Random], None],
        seed: int,
        pace: float = 1.0,
    ) -> None:
        self.acts: Counter[str] = Counter()
        self.faults: list[str] = []  # what the daemon should not have done
        self._port, self._pid, self._healthy = port, pid, healthy
        self._client = Client(f"127.0.0.1:{port}")
        self._player, self._played, self._pulse, self._reload = player, played, pulse, reload
        self._seed, self._pace, self._phase = seed, pace, 0
        self._over = asyncio.Event()
        self._clips = [encoded(word()), encoded(noisy(0.1)), encoded(noisy(12.0)), encoded(noisy(3.0), 48000, "FLAC")]
        self._sound = (np.clip(noisy(5.0), -1, 1) * 32767).astype("<i2").tobytes()

    async def run(self, seconds: float) -> None:
        """Let everything come and go for so long, and end it."""
        self._over.clear()
        self._phase += 1
        workers = max(2, len(self._played) // 5)
        async with asyncio.TaskGroup() as group:
            for number in range(workers):
                group.create_task(self._again(f"subscribe {number}", self._subscribe, 0.1, 3))
            for number in range(2):
                group.create_task(self._again(f"never read {number}", self._never_read, 0.5, 5))
                group.create_task(self._again(f"read {number}", self._read, 0.2, 2))
                group.create_task(self._again(f"post {number}", self._post, 1, 5))
            group.create_task(self._again("send", self._send, 2, 10))
            group.create_task(self._again("steer", self._steer, 3, 10))
            group.create_task(self._again("pause", self._pause, 5, 20))
            group.create_task(self._again("reload", self._ask_to_reload, 10, 30))
            group.create_task(self._again("end a source", self._end_source, 3, 10))
            group.create_task(self._again("kill the worker", self._kill, *self._kills(seconds)))
            if self._pulse is not None:
                group.create_task(self._again("replug", self._replug, 15, 40))
            await asyncio.sleep(seconds)
            self._over.set()

    async def ask_together(self) -> None:
        """Ask for the past and for clips, several at the same time."""
        past = [self._ask("GET", READS[number % 3]) for number in range(8)]
        clips = [  # FLAC: a short WAV file is decoded without a thread
            self._ask("POST", "/models/earmark/commands", self._clips[3], {"x-use-cache": "false"}) for _ in range(4)
        ]
        await asyncio.gather(*past, *clips)

    async def all_at_once(self) -> None:
        """Ask for the largest answers at the same time, more of them than ever come together in the churn.

        Python and the C library keep what was once used at the same time, and by chance that is rare: the memory would
        rise by another step now and then for hours.
        """
        workers = 2 * max(2, len(self._played) // 5)
        for _ in range(3):
            await asyncio.gather(
                *(self._replay() for _ in range(workers)),
                *(self._ask("GET", path) for path in READS[:5]),
                self._long_clips(),
            )

    async def _long_clips(self) -> None:
        """Have the longest clips classified at the same time, in the largest batches that the churn ever makes."""
        paths = (*POSTS[:1] * LONG_AT_ONCE, *POSTS[1:])
        await asyncio.gather(
            *(self._ask("POST", path, self._clips[2], {"x-use-cache": "false"}) for path in paths),
        )

    async def _replay(self) -> None:
        """Receive as much of the past as a subscriber of the churn asks for, and as fast as it comes."""
        epoch, _, seq = self._healthy.position.partition(":")
        uri = f"ws://127.0.0.1:{self._port}/v1/events?since={epoch}:{max(1, int(seq or 1) - MOST_OF_THE_PAST)}"
        with contextlib.suppress(OSError, WebSocketException, TimeoutError):
            async with asyncio.timeout(5), connect(uri, compression=None) as stream:
                for _ in range(MOST_OF_THE_PAST):
                    await stream.recv()

    def _kills(self, seconds: float) -> tuple[float, float]:
        """Return the seconds between two kills: each process lives for minutes, and a short phase has one kill."""
        least = min(150.0, seconds / 3)
        return least / self._pace, 2 * least / self._pace

    async def _again(self, name: str, act: Act, least: float, most: float) -> None:
        """Act again and again, with pauses between `least` and `most` seconds, until the phase is over."""
        chance = random.Random(f"{self._seed} {self._phase} {name}")
        while not await self._wait(self._pace * chance.uniform(least, most)):
            self.acts[name.rstrip(" 0123456789")] += 1
            try:
                await act(chance)
            except (OSError, WebSocketException, TimeoutError, HTTPException, SubprocessError) as error:
                self.acts[f"{name.rstrip(' 0123456789')}: {type(error).__name__}"] += 1

    async def _wait(self, seconds: float) -> bool:
        """Wait so long, or until the phase is over. Returns whether it is."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._over.wait()
        return self._over.is_set()

    async def _subscribe(self, chance: random.Random) -> None:
        query = chance.choice(FILTERS)
        if self._healthy.position and chance.random() < 0.3:
            epoch, seq = self._healthy.position.split(":")
            query += f"&since={epoch}:{max(1, int(seq) - chance.randrange(MOST_OF_THE_PAST))}"
        uri = f"ws://127.0.0.1:{self._port}/v1/events?{query}&policy={chance.choice(POLICIES)}"
        ending = time.monotonic() + chance.expovariate(1 / 5)
        async with connect(uri, compression=None) as stream:
            if chance.random() < 0.3:
                await stream.send('{"type":"subscribe","types":["label","source"]}')
            while time.monotonic() < ending and not self._over.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.5):
                        await stream.recv()
            if chance.random() < 0.3:
                stream.transport.abort()

    async def _never_read(self, chance: random.Random) -> None:
        """Subscribe to much, read nothing, and go without a word."""
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(client, ("127.0.0.1", self._port))
            target = f"/v1/events?types=level,result,label&policy={chance.choice(POLICIES)}"
            half = chance.random() < 0.2
            request = f"GET {target} HTTP/1.1\r\n{HANDSHAKE}".encode()
            await loop.sock_sendall(client, request[: len(request) // 2] if half else request)
            await self._wait(chance.uniform(1, 30))

    async def _read(self, chance: random.Random) -> None:
        await self._ask("GET", chance.choice(READS))

    async def _post(self, chance: random.Random) -> None:
        clip, whole = chance.choice(self._clips), False
        match chance.randrange(4):
            case 0:
                clip = clip[: chance.randrange(len(clip))]
            case 1:
                at = chance.randrange(len(clip) - 64)
                clip = clip[:at] + chance.randbytes(64) + clip[at + 64 :]
            case _:
                whole = True
        # The answers to clips that are all different would fill the cache for an hour
        again = whole and chance.random() < 0.5
        await self._ask("POST", POSTS[chance.random() < 0.2], clip, {} if again else {"x-use-cache": "false"})

    async def _send(self, chance: random.Random) -> None:
        uri = f"ws://127.0.0.1:{self._port}/v1/audio?source=phone&rate={RATE}&channels=1&format=s16le"
        async with connect(uri, compression=None) as stream:
            for _ in range(chance.randrange(5, 60)):
                start = BLOCK * chance.randrange(len(self._sound) // BLOCK)
                await stream.send(self._sound[start : start + BLOCK])
                if await self._wait(0.1):
                    break

    async def _steer(self, chance: random.Random) -> None:
        vad = {"threshold": round(chance.uniform(0.4, 0.7), 2)}
        change = {"decide": {"on": round(chance.uniform(0.6, 0.9), 2)}, "vad": vad}
        await self._change("/v1/classifiers/commands", change)

    async def _pause(self, chance: random.Random) -> None:
        name = chance.choice(list(self._played))
        await self._change(f"/v1/sources/{name}", {"paused": True})
        await self._wait(chance.uniform(0.2, 4))
        await self._change(f"/v1/sources/{name}", {"paused": False})

    async def _ask_to_reload(self, chance: random.Random) -> None:
        self._reload(chance)
        os.kill(self._pid, signal.SIGHUP)

    async def _end_source(self, chance: random.Random) -> None:
        self._player.end(chance.choice(list(self._played.values())), chance.uniform(0.1, 3))

    async def _kill(self, chance: random.Random) -> None:
        found = await asyncio.to_thread(info, self._port)
        killed = found["worker"]["pid"]
        if found["worker"]["phase"] != "ready":
            return
        os.kill(killed, signal.SIGKILL)
        while not await self._wait(1.0):
            found = await asyncio.to_thread(info, self._port)
            if found["worker"]["phase"] == "ready" and found["worker"]["pid"] != killed:
                for _ in range(3):  # its memory is judged from then on, when it has met the largest batches
                    await self._long_clips()
                return

    async def _replug(self, chance: random.Random) -> None:
        assert self._pulse is not None
        await asyncio.to_thread(self._pulse.unplug)
        try:
            await self._wait(chance.uniform(1, 8))
        finally:
            await asyncio.to_thread(self._pulse.replug)

    async def _change(self, path: str, change: Mapping[str, object]) -> None:
        await self._ask("PATCH", path, json.dumps(change), {"content-type": "application/json"})

    async def _ask(
        self, method: str, path: str, body: bytes | str | None = None, headers: dict[str, str] | None = None
    ) -> None:
        reply = await asyncio.to_thread(self._client.ask, method, path, body, headers or {})
        self.acts[f"answers with {reply.status}"] += 1
        if reply.status == 500 or reply.status not in range(200, 600):
            self.faults.append(f"{method} {path}: {reply.status} {reply.body[:200]!r}")
