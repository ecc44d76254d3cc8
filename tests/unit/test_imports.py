"""The direction of imports, held over the syntax trees: also where an import hides in a function."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DAEMON = ROOT / "daemon" / "earmark"
CLIENTS = ROOT / "clients" / "earmark_client"
HEAVY = {"torch", "transformers", "torchaudio"}
HEAVY_NAMES = ("cnn", "heads", "learn_process", "model", "model_process", "pull_process")
HEAVY_MODULES = {DAEMON / "edge" / f"{name}.py" for name in HEAVY_NAMES}
# The standard library's parts that touch the world or time; pure logic gets all of that passed in
WORLDLY = {
    *("asyncio", "concurrent", "ctypes", "http", "io", "logging", "mmap", "multiprocessing", "os", "pathlib"),
    *("queue", "random", "select", "shutil", "signal", "socket", "sqlite3", "ssl", "subprocess", "sys", "tempfile"),
    *("threading", "time", "urllib.request"),
}


def imported(file: Path) -> Iterator[str]:
    """The full names of all that `file` imports, wherever in it. `from a import b` is a.b where b may be a module."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str(module), names=names, level=0):
                yield module
                if module in ("earmark", "earmark.edge", "earmark.core"):
                    yield from (f"{module}.{alias.name}" for alias in names)
            case ast.ImportFrom():
                yield "relative import"


def offences(files: Iterator[Path], allowed: tuple[str, ...]) -> list[str]:
    """Imports of earmark's own modules other than the `allowed` ones and what is below them."""
    return [
        f"{file.relative_to(ROOT)}: {name}"
        for file in files
        for name in imported(file)
        if name.split(".")[0] in ("earmark", "earmark_client", "relative import")
        and name not in ("earmark", "earmark.core", "earmark.edge")
        and not any(name == allow or name.startswith(allow + ".") for allow in allowed)
    ]


def test_core_imports_only_itself_errors_numpy_msgspec_and_data_modules() -> None:
    files = list((DAEMON / "core").rglob("*.py"))
    assert files
    assert offences(iter(files), ("earmark.core", "earmark.errors")) == []
    for file in files:
        names = set(imported(file))
        tops = {name.split(".")[0] for name in names}
        assert (file.name, tops - sys.stdlib_module_names - {"earmark", "numpy", "msgspec"}) == (file.name, set())
        assert (file.name, (tops | names) & WORLDLY) == (file.name, set())


def test_edge_imports_core_config_errors_and_itself() -> None:
    allowed = ("earmark.core", "earmark.config", "earmark.errors", "earmark.edge")
    assert offences((DAEMON / "edge").rglob("*.py"), allowed) == []


def test_only_the_service_and_edge_import_edge() -> None:
    for file in DAEMON.rglob("*.py"):
        if file.parent.name == "edge" or DAEMON / "edge" in file.parents or file.name == "service.py":
            continue
        assert [name for name in imported(file) if name.startswith("earmark.edge")] == [], file


def test_clients_import_only_events_their_lines_licences_and_the_errors() -> None:
    allowed = ("earmark.core.events", "earmark.core.licence", "earmark.core.lines", "earmark.errors", "earmark_client")
    # `earmark devices` must look at this machine's sound devices itself, `earmark pull` must know which models can be
    # served, and `earmark learn` hears examples as the daemon will; they import what they need when they are called
    known = [
        "clients/earmark_client/__main__.py: earmark.edge.devices",
        "clients/earmark_client/learn.py: earmark.edge.learn",
        "clients/earmark_client/learn.py: earmark.edge.recorder",
        "clients/earmark_client/learn.py: earmark.edge.takes",
        "clients/earmark_client/pull.py: earmark.edge.pull",
        "clients/earmark_client/pull.py: earmark.edge.pulled",
    ]
    assert sorted(offences(CLIENTS.rglob("*.py"), allowed)) == known


@pytest.mark.parametrize("package", [DAEMON, CLIENTS])
def test_torch_stays_in_the_model_process(package: Path) -> None:
    heavy = {file for file in package.rglob("*.py") if HEAVY & {name.split(".")[0] for name in imported(file)}}
    assert heavy <= HEAVY_MODULES
