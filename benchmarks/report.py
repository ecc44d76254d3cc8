"""What a run of benchmarks prints and writes: the machine, and the table."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.machine import Machine, print_head
from benchmarks.table import Row, as_json, print_table


def tell(machine: Machine, rows: list[Row], file: str | None) -> None:
    """Print what was measured, and write it to `file` if that is named."""
    told = machine.told()
    if file is not None:
        text = json.dumps({"machine": told, "rows": as_json(rows)}, indent=2, ensure_ascii=False)
        if file == "-":
            print(text)
            return
        Path(file).write_text(text + "\n")
    print_head(told)
    print_table(rows)
