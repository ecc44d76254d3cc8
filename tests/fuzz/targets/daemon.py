"""A whole daemon in a process of its own: heads, clips, recordings and patches over real sockets."""

from __future__ import annotations

import contextlib
import re
import socket
import tempfile
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from random import Random

import psutil

from tests.daemon import DEADLINE, Daemon
from tests.fuzz.target import Broken, Target
from tests.fuzz.targets.audio import Audio
from tests.fuzz.targets.bodies import Clip, Patch
from tests.fuzz.targets.head import DOCUMENTED, LEAVE_NOTHING, STATUS, Head
from tests.posting import RATE, Client, encoded

POSTS = {
    b"POST": (b"/models/earmark/commands", b"audio/wav"),
    b"PATCH": (b"/v1/classifiers/commands", b"application/json"),
}
CONNECTIONS = 8  # on each of which a request is under way
LOOKS = 500  # inputs from one look at the daemon itself to the next
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)
_TRACEBACK = re.compile(r"^Traceback", re.MULTILINE)


class Line:
    """A connection that is kept for one request after the other."""

    def __init__(self, where: tuple[str, int]) -> None:
        self._where = where
        self._sock: socket.socket | None = None
        self._sent = b""

    def send(self, request: bytes) -> None:
        self._sent = request
        try:
            self._send()
        except ConnectionError:  # the daemon may close a connection that is idle
            self.close()
            self._send()

    def answer(self) -> bytes:
        """Return the whole answer to what was sent; nothing if the daemon closed the connection without one."""
        return self._read() or self._read_again()

    def close(self) -> None:
        if self._sock is not None:
            self._sock.close()
        self._sock = None

    def _send(self) -> None:
        if self._sock is None:
            self._sock = socket.create_connection(self._where, timeout=DEADLINE)
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock.sendall(self._sent)

    def _read_again(self) -> bytes:
        self._send()
        return self._read()

    def _read(self) -> bytes:
        assert self._sock is not None
        answer, whole = bytearray(), 1 << 62
        with contextlib.suppress(ConnectionError):
            while len(answer) < whole and (part := self._sock.recv(65_536)):
                answer += part
                head = answer.find(b"\r\n\r\n") + 4
                if head >= 4 and (length := _LENGTH.search(answer, 0, head)):
                    whole = head + int(length[1])
        if len(answer) != whole or b"\r\nconnection: close\r\n" in answer:
            self.close()
        return bytes(answer)


class WholeDaemon(Target):
    """`earmarkd` with the embedded model of commands.

    The first line of an input says whether the rest is a body to send with POST or PATCH, on connections that are
    kept. All else is sent as it is, on a connection of its own.
    """

    name = "daemon"
    max_bytes = 200_000
    max_growth = 100_000_000  # of the daemon and its model process: caches, and what clips that come at once take

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        silence = Path(self._folder.name) / "silence.wav"
        silence.write_bytes(encoded([0.0] * (RATE // 5), RATE))
        self._daemon = Daemon("--file", str(silence), extra={"XDG_STATE_HOME": self._folder.name}).__enter__()
        self._client = Client(self._daemon.address)
        self._client.ready()
        host, port = self._daemon.address.rsplit(":", 1)
        self._where = host, int(port)
        self._free = [Line(self._where) for _ in range(CONNECTIONS)]
        self._under_way: deque[tuple[Line, bytes]] = deque()
        self._at_once = False
        self._parts: Sequence[Target] = (Clip(), Patch(), Audio())
        self._heads = Head.__new__(Head)  # for what it grows; it needs no server of its own
        self._fed = 0

    @property
    def words(self) -> Sequence[bytes]:  # type: ignore[override]
        return Head.words

    def seeds(self) -> Sequence[bytes]:
        clip, patch, audio = self._parts
        bodies = [*(body.partition(b"\n")[2] for body in clip.seeds()), *audio.seeds()]
        return [*(b"POST\n" + body for body in bodies), *(b"PATCH\n" + body for body in patch.seeds())]

    def grow(self, chance: Random) -> bytes:
        if chance.random() < 0.3:
            return self._heads.grow(chance)
        clip, patch, audio = self._parts
        which = chance.randrange(3)
        if which == 0:
            return b"POST\n" + clip.grow(chance).partition(b"\n")[2]
        return b"PATCH\n" + patch.grow(chance) if which == 1 else b"POST\n" + audio.grow(chance)

    def feed(self, data: bytes) -> str:
        """Return the statuses of the oldest answer that is under way, unless settle() was called."""
        self._fed += 1
        if self._fed % LOOKS == 0:
            self._look()
        kind, _, body = data.partition(b"\n")
        if kind not in POSTS:
            return self._judged(self._alone(data), data)
        if not self._free:
            self._take()
        line = self._free.pop()
        line.send(request(kind, body))
        self._under_way.append((line, data))
        return self._take() if self._at_once or not self._free else "under way"

    def settle(self) -> None:
        self._at_once = True
        while self._under_way:
            self._take()
        self._look()

    def _take(self) -> str:
        """Return the statuses of the answer that has been under way for longest."""
        line, data = self._under_way.popleft()
        self._free.append(line)
        answer = line.answer()
        if not answer:
            raise Broken("no answer", data)
        return self._judged(answer, data)

    def _alone(self, data: bytes) -> bytes:
        """Return all that comes on a connection on which the client says only this."""
        answer = bytearray()
        with socket.create_connection(self._where, timeout=DEADLINE) as sock, contextlib.suppress(ConnectionError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LEAVE_NOTHING)
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            while part := sock.recv(65_536):
                answer += part
        return bytes(answer)

    def _judged(self, answer: bytes, data: bytes) -> str:
        statuses = [int(status) for status in STATUS.findall(answer)]
        if not set(statuses) <= DOCUMENTED:
            raise Broken(f"an answer with {statuses}: {answer[:300]!r}", data)
        return " ".join(map(str, statuses[:3])).translate(str.maketrans("0123456789", "abcdefghij")) or "nothing"

    def _look(self) -> None:
        """Look at the daemon itself."""
        self._daemon.new_events()
        said = "\n".join(self._daemon.new_lines())
        if _TRACEBACK.search(said):
            raise Broken(said[-3000:])
        if self._daemon.process.poll() is not None:
            raise Broken(f"the daemon has ended with {self._daemon.process.returncode}")
        restarts = self._client.get("/info").json["worker"]["restarts"]
        if restarts:
            raise Broken(f"the model process was replaced {restarts} times")

    def resident(self) -> int:
        """Return the resident bytes of the daemon and of its processes."""
        process = psutil.Process(self._daemon.process.pid)
        return sum(int(each.memory_info().rss) for each in (process, *process.children(recursive=True)))

    def close(self) -> None:
        for line in (*self._free, *(line for line, _ in self._under_way)):
            line.close()
        self._daemon.__exit__(None, None, None)
        self._folder.cleanup()
        for part in self._parts:
            part.close()


def request(method: bytes, body: bytes) -> bytes:
    """Return a request with this body."""
    path, kind = POSTS[method]
    head = b"%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n"
    return head % (method, path, kind, len(body)) + body
