"""Which modules are mutated, and which tests must notice."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from tests.mutants.mutations import Mutant, mutants

ROOT = Path(__file__).parents[2]
LEAST_MUTANTS = 5  # a module with fewer, or without any function, holds types and constants
# Settings and messages are data, whose tests are those of their users; the tests of what runs on torch need models
LEFT_OUT = (
    "__main__",
    "config",
    "config.settings",
    "config.sources",
    "config.brokers",
    "config.types",
    "core.events",
    "protocol.events",
    "worker",
    "worker.*",
    "fitting",
    "fitting.*",
)


@dataclass(frozen=True, slots=True)
class Module:
    """A module under test. `name` is its full name; `tests` are the files to run, the most telling one first."""

    name: str
    path: Path
    source: str
    tests: tuple[Path, ...]
    mutants: tuple[Mutant, ...]

    @property
    def short(self) -> str:
        """The name without the package that all have in common."""
        return self.name.removeprefix("earmark.")

    @property
    def is_package(self) -> bool:
        return self.path.stem == "__init__"


def pure_modules(root: Path = ROOT) -> list[Module]:
    """Return the pure modules below `root`, by name: all but the shells where those are listed, else all of `core`."""
    package = root / "daemon" / "earmark"
    shells = _shells(root)
    names = {
        _dotted(file, package): file
        for file in sorted((package if shells is not None else package / "core").rglob("*.py"))
    }
    tests = {file: set(_imported(file)) for file in sorted((root / "tests" / "unit").rglob("test_*.py"))}
    modules = [
        _module(name, file, tests)
        for name, file in names.items()
        if not any(fnmatchcase(name, pattern) for pattern in (*LEFT_OUT, *(shells or ())))
    ]
    return [module for module in modules if len(module.mutants) >= LEAST_MUTANTS and "def " in module.source]


def chosen(modules: list[Module], patterns: Iterable[str]) -> list[Module]:
    """Return the modules that `patterns` name: `gate`, `core.gate`, or with signs as in `windowing.*`.

    Raises LookupError for a pattern that names none.
    """
    found: list[Module] = []
    for pattern in patterns:
        wanted = pattern.removesuffix(".py").replace("/", ".")
        some = [one for one in modules if fnmatchcase(one.short, wanted) or fnmatchcase(one.short, f"*.{wanted}")]
        if not some:
            raise LookupError(f"{pattern}: no pure module; there are {', '.join(one.short for one in modules)}")
        found += [one for one in some if one not in found]
    return found


def _module(name: str, file: Path, tests: dict[Path, set[str]]) -> Module:
    source, full = file.read_text(encoding="utf-8"), f"earmark.{name}"
    mirrors = {f"test_{file.stem}.py", f"test_{file.parent.name}.py" if file.stem == "__init__" else ""}
    own = [test for test in tests if test.name in mirrors and full in tests[test]]
    others = [test for test in tests if test not in own and full in tests[test]]
    return Module(full, file, source, (*own, *others), tuple(mutants(source)))


def _dotted(file: Path, package: Path) -> str:
    parts = file.relative_to(package).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imported(file: Path) -> Iterator[str]:
    """Yield the full names of all that `file` imports, wherever in it; `from a import b` is both a and a.b."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str(module), names=names):
                yield module
                yield from (f"{module}.{alias.name}" for alias in names)


def _shells(root: Path) -> set[str] | None:
    """Return patterns for the modules that the import test lists as impure, or None where it has no such list."""
    for file in sorted((root / "tests" / "unit").rglob("test_imports.py")):
        spec = importlib.util.spec_from_file_location("listed_imports", file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        if (shells := getattr(module, "SHELLS", None)) is not None:
            return {pattern(str(shell), root / "daemon" / "earmark") for shell in shells}
    return None


def pattern(shell: str, package: Path) -> str:
    """Return what `fnmatch` takes for a shell, written as a path, as a dotted name, or as a folder with a slash."""
    text = shell.removeprefix(f"{package}/").removeprefix("daemon/").removeprefix("earmark/").removeprefix("earmark.")
    dotted = text.removesuffix(".py").replace("/", ".")
    return f"{dotted}*" if dotted.endswith(".") else dotted.removesuffix(".__init__")
