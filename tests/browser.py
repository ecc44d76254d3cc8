"""The page in headless Chromium, driven through tests/web/drive.mjs."""

from __future__ import annotations

import json
import shutil
import subprocess
from types import TracebackType
from typing import Any, Self

from tests.daemon import DEADLINE, ROOT

WEB = ROOT / "tests" / "web"
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


def chromium() -> str | None:
    """The browser's program, if there is one."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


def missing() -> str:
    """Return what a Browser needs and this machine lacks, or nothing."""
    if chromium() is None:
        return "chromium is not installed (apt install chromium)"
    if shutil.which("node") is None:
        return "node is not installed (apt install nodejs)"
    if not (WEB / "node_modules" / "playwright-core").is_dir():
        return "playwright-core is not installed (npm ci --prefix tests/web)"
    return ""


class Browser:
    """A browser in a process of its own; leaving the context closes it."""

    def __init__(self, *arguments: str) -> None:
        program = chromium()
        assert program is not None
        self._process = subprocess.Popen(
            ["node", str(WEB / "drive.mjs"), program, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def do(self, name: str, **given: Any) -> Any:
        """Let the page do something; see drive.mjs. Raises AssertionError with what went wrong."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": name, **given}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        answer = json.loads(line) if line else {"error": "the browser ended"}
        assert "error" not in answer, f"{name} {given}: {answer['error']}"
        return answer["value"]

    def until(self, holds: str) -> Any:
        """Wait until an expression over `store`, `view` and `stream` of the page is true; return its value."""
        return self.do("until", holds=holds)

    def click_in_row(self, row: str, on: str) -> str:
        """Click in a detection's row, once the list has it, and return its id, which the expression `row` tells.

        At once: a detection that comes while a browser looks for the place to click moves all rows.
        """
        there = f"document.querySelector(`.row[data-id='${{{row}}}'] {on}`)"
        return str(self.until(f"{there} && ((id) => ({there}.click(), id))({row})"))

    def value(self, of: str) -> Any:
        return self.do("value", of=of)
