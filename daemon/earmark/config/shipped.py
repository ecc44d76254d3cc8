"""The configurations that come with Earmark: every setting with its default, and examples."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from earmark.errors import ConfigError
from earmark.hints import nearest

INSTALLED, SOURCES = Path(__file__).parent / "files", Path(__file__).parents[3] / "config"
FOLDER = INSTALLED if INSTALLED.is_dir() else SOURCES
"""In a wheel it is part of the package; in the source tree it is the folder `config`."""

ROUTES = "routes.toml"
"""The example for `earmark route`, which is no configuration of the daemon."""


def defaults() -> str:
    """Return a configuration that shows every setting with its default."""
    return (FOLDER / "earmark.toml").read_text(encoding="utf-8")


def example(name: str) -> str:
    """Return the example called `name`. Raises ConfigError, with the nearest name, if there is none."""
    found = _examples()
    if name not in found:
        raise ConfigError(f'--example: there is no "{name}"{nearest(name, list(found))}')
    return found[name].read_text(encoding="utf-8")


def list_examples() -> Iterator[str]:
    """Yield a line for each example: its name, and its first sentence."""
    found = _examples()
    width = max(map(len, found))
    for name, file in found.items():
        yield f"{name:<{width}}  {_first_sentence(file.read_text(encoding='utf-8'))}"


def _examples() -> dict[str, Path]:
    files = sorted((FOLDER / "examples").glob("*.toml"))
    return {file.stem: file for file in files if file.name != ROUTES}


def _first_sentence(text: str) -> str:
    """Return the first sentence of the comment with which the text begins."""
    comment = text.partition("\n#\n")[0]
    return " ".join(line.removeprefix("#").strip() for line in comment.splitlines()).partition(". ")[0].rstrip(".")
