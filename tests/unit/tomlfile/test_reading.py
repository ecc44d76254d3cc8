from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from earmark.errors import ConfigError
from earmark.tomlfile.reading import MAX_CHARACTERS, read


def refuse(tables: dict[str, Any]) -> dict[str, Any]:
    raise ConfigError("server.listen: is wrong\nserver.backlog: is wrong too")


def refusal(path: Path, make: Any = dict, **options: bool) -> str:
    with pytest.raises(ConfigError) as caught:
        read(path, make, kind="a routes file", absent="make one", **options)
    return str(caught.value)


def test_a_file_becomes_what_is_made_of_its_tables(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_bytes(b"\xef\xbb\xbfa = 1\r\n[b]\r\nc = 2\r\n")

    assert read(file, lambda tables: tables["b"]["c"], kind="a routes file", absent="make one") == 2


def test_what_is_made_is_refused_with_the_file_and_the_line_of_each_mistake(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text("[server]\nlisten = 1\nbacklog = 2\n")

    first, second = refusal(file, refuse).splitlines()

    assert first.startswith(str(file))
    assert "line 2" in first
    assert "line 3" in second


def test_a_file_that_cannot_be_read_is_refused_with_what_to_do(tmp_path: Path) -> None:
    folder, binary, deep, empty = (tmp_path / name for name in ("folder", "binary", "deep", "empty"))
    folder.mkdir()
    binary.write_bytes(b"\xff\xfe\x00")
    deep.write_text("a = " + "[" * 100_000)
    empty.write_text(" \n")

    assert refusal(tmp_path / "none") == f"{tmp_path}/none: no such file; make one"
    assert refusal(folder) == f"{folder}: is a folder, not a routes file"
    assert "cannot be read" in refusal(binary)
    assert "not valid TOML" in refusal(deep)
    assert "is empty" in refusal(empty, may_be_empty=False)


def test_a_file_of_any_size_is_refused_after_its_first_million_characters(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text("#" * MAX_CHARACTERS)
    assert read(file, dict, kind="a routes file", absent="make one") == {}
    file.write_text("#" * (MAX_CHARACTERS + 1))
    os.truncate(file, 10**12)
    assert refusal(file) == f"{file}: has more than 1000000 characters, so it is not a routes file"


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("gate = speech", 'a text stands between straight double quotes: "like this"'),
        ("gate = “speech”", 'a text stands between straight double quotes: "like this"'),
        ("sources = [desk]", 'a text stands between straight double quotes: "like this"'),
        ("quiet = 22:00-07:00", 'a text stands between straight double quotes: "like this"'),
        ("insecure = True", "write true and false in small letters"),
        ("rate = None", "there is no such value; leave the setting out"),
        ("on = 0,8", "write a number with a point: 0.8"),
        ("on = .8", "write a number with all its digits: 0.8"),
        ("\r\nring = 20s", "write a number without its unit"),
        ("[server]\nprefix = '/a'\n\nprefix = '/b'", "prefix stands in line 2 and again in line 4"),
        ("[server]\n[server]", "it stands twice: put its settings together, or write [[…]] where there may be several"),
        ("source = []\n[[source]]", "it has its value already, in a line such as `source = []`: keep one of the two"),
        (r'path = "C:\sounds"', r"between single quotes, as in 'C:\folder', a backslash means itself"),
        (r'path = "C:\Users"', r"between single quotes, as in 'C:\folder', a backslash means itself"),
    ],
)
def test_a_typical_slip_is_told_with_what_to_write(tmp_path: Path, text: str, advice: str) -> None:
    file = tmp_path / "a.toml"
    file.write_bytes(text.encode())

    assert refusal(file).endswith(f"; {advice}")


@pytest.mark.parametrize("text", ["x = ", "x = 1 2", "[[source]", "x = @", 'x = "abc', "a.b = 1\na = 2", "="])
def test_what_may_have_meant_anything_is_told_without_advice(tmp_path: Path, text: str) -> None:
    file = tmp_path / "a.toml"
    file.write_text(text)

    told = refusal(file)
    assert "not valid TOML" in told
    assert ";" not in told
