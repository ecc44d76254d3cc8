"""A server of a few lines in the daemon's place, for what the client asks and how it takes the answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

Reply = tuple[int, object] | tuple[int, object, Mapping[str, str]]
"""Status, content (bytes as they are, all else as JSON), headers."""


class FakeDaemon:
    """Answers each request with what `reply(path, body)` returns. `asked` is (path, headers, body) of each.

    `methods` are their methods.
    """

    def __init__(self, reply: Callable[[str, bytes], Reply]) -> None:
        self.asked: list[tuple[str, Message, bytes]] = []
        self.methods: list[str] = []
        self._reply = reply
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self.host = f"127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handler(daemon) -> type[BaseHTTPRequestHandler]:  # `self` is the handler's own below
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                daemon.methods.append(self.command)
                daemon.asked.append((self.path, self.headers, body))
                status, content, *more = daemon._reply(self.path, body)
                sent = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(sent)))
                for headers in more:
                    for name, value in headers.items():
                        self.send_header(name, value)
                self.end_headers()
                self.wfile.write(sent)

            do_POST = do_PATCH = do_GET

            def log_message(self, format: str, *args: object) -> None:
                """Nothing on standard error."""

        return Handler
