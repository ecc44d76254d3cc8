"""A whole daemon in a process of its own: heads, clips, recordings and patches over a real socket. Slow."""

from __future__ import annotations

import contextlib
import re
import socket
import tempfile
from collections.abc import Sequence
from pathlib import Path
from random import Random

import psutil

from tests.daemon import DEADLINE, Daemon
from tests.fuzz.target import Broken, Target
from tests.fuzz.targets.audio import Audio
from tests.fuzz.targets.bodies import Clip, Patch
from tests.fuzz.targets.head import DOCUMENTED, STATUS, Head
from tests.posting import RATE, Client, encoded

POSTS = {"POST /models/earmark/commands": b"audio/wav", "PATCH /v1/classifiers/commands": b"application/json"}
MAX_GROWTH = 200_000_000  # bytes of a process: its caches, and what it keeps for clips that come at once
_TRACEBACK = re.compile(r"^Traceback", re.MULTILINE)


class WholeDaemon(Target):
    """`earmarkd` with the embedded model of commands."""

    name = "daemon"
    max_bytes = 200_000
    slow = 5.0

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        silence = Path(self._folder.name) / "silence.wav"
        silence.write_bytes(encoded([0.0] * (RATE // 5), RATE))
        self._daemon = Daemon("--file", str(silence), extra={"XDG_STATE_HOME": self._folder.name}).__enter__()
        self._client = Client(self._daemon.address)
        self._client.ready()
        host, port = self._daemon.address.rsplit(":", 1)
        self._where = host, int(port)
        self._parts: Sequence[Target] = (Clip(), Patch(), Audio())
        self._heads = Head.__new__(Head)  # for what it grows; it needs no server of its own
        self._fed = 0
        self._sizes = self._resident()

    @property
    def words(self) -> Sequence[bytes]:  # type: ignore[override]
        return Head.words

    def seeds(self) -> Sequence[bytes]:
        clip, patch, audio = self._parts
        bodies = [*clip.seeds()[:20], *audio.seeds()[:20]]
        posts, patches = POSTS
        return [*(request(posts, body) for body in bodies), *(request(patches, body) for body in patch.seeds())]

    def grow(self, chance: Random) -> bytes:
        if chance.random() < 0.3:
            return self._heads.grow(chance)
        which = chance.randrange(3)
        body = self._parts[which].grow(chance)
        if which == 0:
            body = body.partition(b"\n")[2]
        return request(list(POSTS)[which == 1], body)

    def feed(self, data: bytes) -> str:
        answer = bytearray()
        with socket.create_connection(self._where, timeout=DEADLINE) as sock, contextlib.suppress(ConnectionError):
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR) if b"Connection: close" not in data else None
            while part := sock.recv(65_536):
                answer += part
        statuses = [int(status) for status in STATUS.findall(answer)]
        if not set(statuses) <= DOCUMENTED:
            raise Broken(f"an answer with {statuses}: {bytes(answer[:300])!r}")
        self._fed += 1
        if self._fed % 500 == 0:
            self._look()
        return " ".join(map(str, statuses[:3])).translate(str.maketrans("0123456789", "abcdefghij")) or "nothing"

    def _look(self) -> None:
        """Look at the daemon itself."""
        if self._daemon.process.poll() is not None:
            raise Broken(f"the daemon has ended with {self._daemon.process.returncode}")
        restarts = self._client.get("/info").json["worker"]["restarts"]
        if restarts:
            raise Broken(f"the model process was replaced {restarts} times")
        grown = [now - then for now, then in zip(self._resident(), self._sizes, strict=True)]
        if max(grown) > MAX_GROWTH:
            raise Broken(f"the daemon and its model process have grown by {grown} bytes")
        if _TRACEBACK.search("\n".join(self._daemon.log)):
            raise Broken("\n".join(self._daemon.log[-40:]))

    def _resident(self) -> list[int]:
        process = psutil.Process(self._daemon.process.pid)
        return [each.memory_info().rss for each in (process, *process.children()[:1])]

    def close(self) -> None:
        self._daemon.__exit__(None, None, None)
        self._folder.cleanup()
        for part in self._parts:
            part.close()


def request(line: str, body: bytes) -> bytes:
    """Return a request with this body."""
    head = b"%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n"
    return head % (line.encode(), POSTS[line], len(body)) + body
