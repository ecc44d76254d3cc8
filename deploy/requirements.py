"""Print what to install for a runtime and some extras, one requirement a line: `python3 requirements.py onnx av,mqtt`.

`onnx` is the extra `daemon` without torch and transformers, which models in ONNX do not need.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

TORCH = {"torch", "transformers"}
RUNTIMES = ("onnx", "cpu", "cuda")


def requirements(project: str, runtime: str, extras: str) -> list[str]:
    """Return the requirements of a pyproject.toml for a runtime and extras with commas between. Raises ValueError."""
    if runtime not in RUNTIMES:
        raise ValueError(f"RUNTIME is {runtime!r}, not one of {', '.join(RUNTIMES)}")
    told = tomllib.loads(project)["project"]
    optional: dict[str, list[str]] = told["optional-dependencies"]
    names = ["daemon", *filter(None, (each.strip() for each in extras.split(",")))]
    if missing := [name for name in names if name not in optional]:
        raise ValueError(f"there is no extra {missing[0]!r}; there are {', '.join(optional)}")
    found = [*told["dependencies"], *(each for name in names for each in optional[name])]
    unwanted = TORCH if runtime == "onnx" else set()
    return [each for each in dict.fromkeys(found) if package(each) not in unwanted]


def package(requirement: str) -> str:
    """Return the name in a requirement."""
    return re.split(r"[\[<>=!~; ]", requirement, maxsplit=1)[0]


if __name__ == "__main__":
    try:
        print(*requirements(Path("pyproject.toml").read_text(), *sys.argv[1:]), sep="\n")
    except (ValueError, TypeError) as error:
        sys.exit(f"requirements.py: {error}")
