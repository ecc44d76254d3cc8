"""How smoothly the page runs: frame times and heap of headless Chromium while events come at a given rate.

`python -m benchmarks.page --minutes 10` serves the page beside a hub that publishes made-up events, 50 a second and ten
levels, and prints a line for each minute. It needs what the tests of the page need (Chromium, Node.js, npm's packages).
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

from tests.browser import Browser, missing
from tests.played import Played

ROUND_SECONDS = 60.0


def main() -> int:
    """Run the page and print what was measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page", description="frame times and heap of the page")
    parser.add_argument("--minutes", type=float, default=10.0, help="how long it runs (%(default)s)")
    parser.add_argument("--rate", type=float, default=50.0, help="events a second (%(default)s)")
    options = parser.parse_args()
    if missing():
        parser.error(missing())
    rounds: list[dict[str, Any]] = []
    with Played(options.rate) as played, Browser() as browser:
        browser.do("open", url=played.url, width=1440, height=1200)
        browser.do("frames", seconds=5)  # the first ones pay for what is loaded
        end = time.monotonic() + 60 * options.minutes
        while (left := end - time.monotonic()) > 1:
            measured = browser.do("frames", seconds=min(ROUND_SECONDS, left))
            rounds.append(measured)
            times = "  ".join(f"{name} {measured[name]:5.1f} ms" for name in ("median", "p95", "p99"))
            print(
                f"{len(rounds):3}  {times}  heap {measured['heap']:5.1f} MB  busy {measured['busy']:4.0%}", flush=True
            )
        assert browser.do("problems") == []
        print(json.dumps({"events": played.sent, "first": rounds[0], "last": rounds[-1]}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
