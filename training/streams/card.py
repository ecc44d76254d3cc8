"""Write the report of training.streams.measure: figures as JSON, a table for docs/models.md, and a picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from training.models.card import table
from training.models.pictures import draw_streams
from training.streams.match import rate_interval
from training.streams.stream import SCENES

Report = dict[str, Any]

HEAD = [
    "played",
    "heard in",
    "minutes",
    "found",
    "taken for another",
    "missed",
    "false alarms",
    "an hour",
    "delay, median (p90)",
]


def write(kind: str, report: Report, folder: Path) -> None:
    """Write the figures and the picture."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{kind}.json").write_text(json.dumps(report, indent=1) + "\n")
    draw_streams(report["rows"], folder / f"{kind}.png")


def table_of(report: Report) -> str:
    """Return a Markdown table with a row for each trial. Rates have their 95 % intervals."""
    rows = [HEAD, ["---"] * len(HEAD), *(_cells(row) for row in report["rows"])]
    return table([list[object](row) for row in rows])


def _cells(row: Report) -> list[str]:
    placed, found, mistaken = row["placed"], row["found"], row["mistaken"]
    false = sum(row["false"].values())
    low, high = rate_interval(false, row["hours"])

    def share(count: int) -> str:
        return f"{count / placed:.1%}" if placed else ""

    return [
        f"{row['played']} ({placed or row['recordings']})",
        SCENES[row["scene"]].what,
        f"{60 * row['hours']:.0f}",
        share(found),
        share(mistaken),
        share(placed - found - mistaken),
        str(false),
        f"{false / row['hours']:.1f} ({low:.1f} to {high:.1f})",
        f"{row['delay_ms']['median']} ms ({row['delay_ms']['p90']} ms)" if row["delay_ms"] else "",
    ]
