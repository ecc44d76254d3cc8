"""Which mutants a piece of source has, and in which order they are tried."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.mutants import rules
from tests.mutants.forks import Ended, Run, Verdict
from tests.mutants.modules import Module, chosen, pattern, pure_modules
from tests.mutants.mutations import mutants
from tests.mutants.report import each, survivor_line, table
from tests.mutants.sample import FIRST, sample


def changes(source: str) -> set[str]:
    return {f"{one.original} -> {one.changed}" for one in mutants(source)}


def module(name: str, source: str = "") -> Module:
    return Module(f"earmark.{name}", Path(f"/{name}.py"), source, (), tuple(mutants(source)))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a < b", {"a < b -> a <= b", "a < b -> a >= b"}),
        ("a is not b", {"a is not b -> a is b"}),
        ("a in b", {"a in b -> a not in b"}),
        ("a == 'x'", {"a == 'x' -> a != 'x'", "'x' -> 'XXx'"}),
        ("a and b", {"a and b -> a or b", "a and b -> a", "a and b -> b"}),
        ("not a", {"not a -> a"}),
        ("7", {"7 -> 8", "7 -> 6"}),
        ("2.5", {"2.5 -> 2.75", "2.5 -> 2.25", "2.5 -> 3.5", "2.5 -> 1.5"}),
        ("True", {"True -> False"}),
        ("a + b", {"a + b -> a - b"}),
        ("a // b", {"a // b -> a * b"}),
        ("'a' + b", set()),
        ("min(a, b)", {"min(a, b) -> max(a, b)"}),
        ("any(a)", {"any(a) -> all(a)"}),
        ("f(a, b, c)", {"f(a, b, c) -> f(b, a, c)", "f(a, b, c) -> f(a, c, b)"}),
        ("f(a, a)", set()),
        ("f(x=a, y=b)", {"f(x=a, y=b) -> f(y=b)", "f(x=a, y=b) -> f(x=a)", "f(x=a, y=b) -> f(x=b, y=a)"}),
        ("a[b:c]", {"b:c -> :c", "b:c -> b:"}),
        ("a['key']", {"'key' -> 'XXkey'"}),
        ("a.get('key')", {"'key' -> 'XXkey'"}),
        ("{'key': 'value'}", {"'key' -> 'XXkey'"}),
        ("a if b else c", {"a if b else c -> a", "a if b else c -> c"}),
        ("[a for a in b if a]", {"if a -> if True"}),
        ("'only a text'", set()),
    ],
)
def test_an_expression_has_these_mutants(source: str, expected: set[str]) -> None:
    assert changes(f"answer = {source}") == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("f()", {"f() -> pass"}),
        ("a += b", {"a += b -> a = b", "a += b -> a -= b", "a += b -> pass"}),
        ("self.a = b", {"self.a = b -> pass"}),
        ("self.a, c = b, d", {"self.a, c = (b, d) -> pass", "self.a, c = (b, d) -> c = d"}),
        ("raise Wrong('so')", {"raise Wrong('so') -> pass"}),
        ("if a: b", {"if a -> if True", "if a -> if False", "b -> pass"}),
        ("while a: b", {"while a -> while False", "b -> pass"}),
        ("def f(): return a", {"return a -> return None"}),
        ("def f(): return False", {"False -> True"}),
        ("def f(a=1, b='x'): return", {"1 -> 2", "1 -> 0", "'x' -> 'XXx'"}),
        ("def f(a): a = b; c = d", {"a = b -> pass"}),
        ("match a:\n  case 'x' if b: c", {"'x' -> 'XXx'", "if b -> if True", "if b -> if False", "c -> pass"}),
    ],
)
def test_a_statement_has_these_mutants(source: str, expected: set[str]) -> None:
    assert changes(source) == expected


@pytest.mark.parametrize(
    "source",
    [
        '"""Of a module, 1 < 2."""',
        'def f(a: Literal[1, 2] = None) -> list[3]:\n  """Of a function."""',
        "x: Annotated[int, Meta(ge=1)] = None",
        "__all__ = ['a'] + ['b']",
        "assert a < 1, 'not so'",
        "@dataclass(frozen=True, slots=True)\nclass A(Struct, frozen=True): ...",
        "if TYPE_CHECKING:\n  x = 1",
        "Names = dict[str, int] | None",
        "Shape = Literal['event', 'api']",
        "def read(self, count=-1): ...",
        "T = TypeVar('T', bound=int)",
        "Id = NewType('Id', int)",
        "log.info('%s', 1)",
        "text = f'{a + 1} of {b}'",
        "f = zip(a, strict=True)",
        "import a.b",
    ],
)
def test_what_no_test_could_see_is_left_alone(source: str) -> None:
    assert changes(source) == set()


def test_a_mutant_changes_its_own_place_and_nothing_else() -> None:
    source = "täglich = 'ü'; a = (b * (c + d)) < 4  # why\nrest = 4\n"
    results = {one.changed: one.apply(source) for one in mutants(source) if one.line == 1}
    assert results["c - d"] == "täglich = 'ü'; a = (b * ((c - d))) < 4  # why\nrest = 4\n"
    assert results["5"] == "täglich = 'ü'; a = (b * (c + d)) < (5)  # why\nrest = 4\n"


def test_every_mutant_of_real_code_can_be_parsed_and_differs() -> None:
    source = Path(rules.__file__).read_text(encoding="utf-8")
    whole = ast.dump(ast.parse(source))
    found = mutants(source)[::10]
    assert len(found) > 20
    assert [one for one in found if ast.dump(ast.parse(one.apply(source))) == whole] == []


def test_a_seed_gives_the_same_order_each_time_and_another_seed_another() -> None:
    modules = [module("gate", "a < b\n" * 50), module("ring", "a + b\n" * 3)]
    assert sample(modules, 1) == sample(modules, 1)
    assert sample(modules, 1) != sample(modules, 2)
    assert sorted(one for _, one in sample(modules, 1)) == sorted(one for each in modules for one in each.mutants)


def test_a_modules_own_order_does_not_depend_on_the_other_modules() -> None:
    gate = module("gate", "a < b\n" * 50)
    beside = [mutant for one, mutant in sample([module("ring", "a + b\n" * 30), gate], 1) if one is gate]
    assert beside == [mutant for _, mutant in sample([gate], 1)]


def test_every_module_has_its_first_mutants_before_any_has_more() -> None:
    small, large = module("small", "a + b\n" * 45), module("large", "a + b\n" * 500)
    order = [one.name for one, _ in sample([large, small], 1)]
    assert order[: 2 * FIRST].count(small.name) == order[: 2 * FIRST].count(large.name) == FIRST
    assert order[:4].count(small.name) == 2


CODE = "def f(a, b):\n    return a < b and a + 1 < b\n"


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def test_a_module_is_tested_by_its_mirror_and_then_by_the_other_tests_that_import_it(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "daemon/earmark/core/gate.py": CODE,
            "daemon/earmark/core/constants.py": "SIZES = (1, 2, 3, 4, 5)\n",
            "daemon/earmark/edge/server.py": CODE,
            "tests/unit/test_asking.py": "def test():\n    from earmark.core import gate\n",
            "tests/unit/test_gate.py": "from earmark.core.gate import f\n",
            "tests/unit/test_gates.py": "import earmark.core.gates\n",
        },
    )
    (only,) = pure_modules(tmp_path)
    assert (only.name, [test.name for test in only.tests]) == ("earmark.core.gate", ["test_gate.py", "test_asking.py"])


def test_where_the_impure_modules_are_listed_all_others_are_pure(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "daemon/earmark/capture/intake.py": CODE,
            "daemon/earmark/capture/health.py": CODE,
            "daemon/earmark/config/settings.py": CODE,
            "daemon/earmark/worker/serve.py": CODE,
            "daemon/earmark/windowing/__init__.py": CODE,
            "tests/unit/test_imports.py": "SHELLS = {'capture.intake': 'a queue'}\n",
            "tests/unit/windowing/test_windowing.py": "import earmark.windowing\n",
        },
    )
    modules = pure_modules(tmp_path)
    assert [one.short for one in modules] == ["capture.health", "windowing"]
    assert [len(one.tests) for one in modules] == [0, 1]


def test_modules_are_chosen_by_their_last_name_or_by_signs() -> None:
    modules = [module("windowing.gate"), module("windowing.windows"), module("inference.batch")]
    assert [one.short for one in chosen(modules, ["gate"])] == ["windowing.gate"]
    assert [one.short for one in chosen(modules, ["windowing/gate.py"])] == ["windowing.gate"]
    assert [one.short for one in chosen(modules, ["batch", "windowing.*"])] == [
        "inference.batch",
        "windowing.gate",
        "windowing.windows",
    ]
    with pytest.raises(LookupError, match=r"ear: no pure module; there are windowing.gate"):
        chosen(modules, ["ear"])


@pytest.mark.parametrize(
    ("shell", "expected"),
    [
        ("capture.intake", "capture.intake"),
        ("earmark.capture.intake", "capture.intake"),
        ("capture/intake.py", "capture.intake"),
        ("daemon/earmark/capture/intake.py", "capture.intake"),
        ("/tree/daemon/earmark/capture/__init__.py", "capture"),
        ("worker/", "worker.*"),
    ],
)
def test_a_shell_may_be_listed_as_a_path_or_as_a_name(shell: str, expected: str) -> None:
    assert pattern(shell, Path("/tree/daemon/earmark")) == expected


def test_the_table_counts_a_hang_as_noticed_and_leaves_out_what_cannot_be_imported() -> None:
    gate = module("gate", "a < b\nc < d\n")
    verdicts = [Verdict.KILLED, Verdict.TIMED_OUT, Verdict.BROKEN, Verdict.SURVIVED]
    ended = [Ended(Run(gate, mutant), verdict, 0.1) for mutant, verdict in zip(gate.mutants, verdicts, strict=False)]
    of_gate, total = each([gate], ended)
    assert (total.mutants, total.tried, total.killed, total.survived) == (6, 3, 2, 1)
    assert of_gate.percent == pytest.approx(66.7, abs=0.1)
    assert "66.7*" in table([of_gate, total], least=60, least_module=70)
    assert table([of_gate, total], least=60, least_module=60).count("*") == 0


def test_a_long_survivor_is_shown_around_its_change() -> None:
    source = f"answer = f({', '.join('a' * 40 for _ in range(4))}, b, c)"
    gate = module("gate", source)
    line = survivor_line(gate, next(one for one in gate.mutants if one.changed.endswith("c, b)")), Path("/"))
    assert line.startswith("gate.py:1  ...a")
    assert line.endswith("c, b)")
