"""A Hugging Face Hub on loopback: the three requests that huggingface_hub makes for a model."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = (".safetensors", ".bin", ".ckpt")  # kept in LFS, so that the Hub knows their SHA-256


class FakeHub:
    """Serves folders as models, each at one commit that is also its main branch. `asked` are the requests' paths."""

    def __init__(self, models: Mapping[str, Path]) -> None:
        self.models = dict(models)
        self.asked: list[str] = []
        self.broken = ""  # the name of a file that is sent with one byte changed
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def fetched(self) -> list[str]:
        """The names of the files that were asked for."""
        return sorted({path.rpartition("/")[2] for path in self.asked if "/resolve/" in path})

    def listing(self, model: str) -> dict[str, Any]:
        files = sorted(file for file in self.models[model].iterdir())
        return {"id": model, "sha": COMMIT, "siblings": [_sibling(file) for file in files]}

    def _handler(hub) -> type[BaseHTTPRequestHandler]:  # `self` is the handler's own below
        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self.do_GET()

            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                hub.asked.append(path)
                if path.startswith("/api/models/"):
                    model, _, revision = path.removeprefix("/api/models/").partition("/revision/")
                    if model not in hub.models:
                        self.answer(404, b"", {"X-Error-Code": "RepoNotFound"})
                    elif revision not in ("", "main", COMMIT):
                        self.answer(404, b"", {"X-Error-Code": "RevisionNotFound"})
                    else:
                        self.answer(200, json.dumps(hub.listing(model)).encode(), {"Content-Type": "application/json"})
                    return
                model, _, name = path.strip("/").partition(f"/resolve/{COMMIT}/")
                if model not in hub.models:
                    self.answer(404, b"", {})
                    return
                content = (hub.models[model] / name).read_bytes()
                etag = hashlib.sha256(content).hexdigest()
                if name == hub.broken:
                    content = content[:-1] + bytes([content[-1] ^ 1])
                self.answer(200, content, {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT})

            def answer(self, status: int, content: bytes, headers: Mapping[str, str]) -> None:
                self.send_response(status)
                for header, value in ({"Content-Length": str(len(content))} | dict(headers)).items():
                    self.send_header(header, value)
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                """Nothing on standard error."""

        return Handler


def _sibling(file: Path) -> dict[str, Any]:
    size = file.stat().st_size
    found: dict[str, Any] = {"rfilename": file.name, "size": size}
    if file.suffix in LARGE:
        found["lfs"] = {"sha256": hashlib.sha256(file.read_bytes()).hexdigest(), "size": size, "pointerSize": 130}
    return found
