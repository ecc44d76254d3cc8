"""Subscribers in processes of their own, which measure the delay of each event."""

from __future__ import annotations

import array
import subprocess
import sys

# argv: port, connections. Writes a line when they are open. For each line on standard input it writes how many events
# it has received since the last one, and then the delay of each as a float.
READER = """
import array, os, select, socket, struct, sys, time
port, count = int(sys.argv[1]), int(sys.argv[2])
request = (
    b"GET /v1/events?sources=desk HTTP/1.1\\r\\nHost: 127.0.0.1\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\n"
    b"Sec-WebSocket-Version: 13\\r\\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\\r\\n\\r\\n"
)
MARK = b'"start":'
poll, sockets, rests = select.epoll(), {}, {}
for _ in range(count):
    sock = socket.create_connection(("127.0.0.1", port))
    sock.sendall(request)
    head = b""
    while b'"hello"' not in head:
        head += sock.recv(4096)
    sock.setblocking(False)
    sockets[sock.fileno()] = sock
    poll.register(sock, select.EPOLLIN)
poll.register(0, select.EPOLLIN)
out = sys.stdout.buffer
out.write(b"connected\\n")
out.flush()
delays = array.array("f")
now = time.monotonic
while True:
    for number, _ in poll.poll():
        if number == 0:
            if not os.read(0, 1024):
                sys.exit()
            out.write(b"%d\\n" % len(delays) + delays.tobytes())
            out.flush()
            delays = array.array("f")
            continue
        try:
            data = sockets[number].recv(65536)
        except BlockingIOError:
            continue
        if not data:
            sys.exit("a subscriber was closed")
        received = now()
        *parts, last = (rests.get(number, b"") + data).split(MARK)
        if parts and b"," not in last:
            rests[number] = MARK + last  # the number is not there yet, or not all of it
        else:
            rests[number] = last[1 - len(MARK) :]
            parts.append(last)
        for part in parts[1:]:
            delays.append(received - float(part[: part.index(b",")]))
"""


class Readers:
    """Processes that read on many connections and measure the delay of each event."""

    def __init__(self, port: int, connections: int, processes: int) -> None:
        each = connections // processes
        self._processes = [
            subprocess.Popen(
                [sys.executable, "-c", READER, str(port), str(each)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            for _ in range(processes)
        ]

    def until_connected(self) -> None:
        """Wait until all connections are open."""
        for process in self._processes:
            assert process.stdout is not None
            if process.stdout.readline() != b"connected\n":
                raise RuntimeError("the subscribers could not connect")

    def take(self) -> array.array[float]:
        """Return the delays, in seconds, of all events that were received since the last call."""
        delays = array.array("f")
        for process in self._processes:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(b"\n")
            process.stdin.flush()
            count = int(process.stdout.readline())
            delays.frombytes(process.stdout.read(count * delays.itemsize))
        return delays

    def end(self) -> None:
        """End the processes."""
        for process in self._processes:
            process.kill()
            process.communicate()
