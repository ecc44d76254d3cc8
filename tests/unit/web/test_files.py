"""The files of the page."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from earmark.web.files import FOLDERS, Page, load

MOST_BYTES = 60_000  # of everything that opening the page loads, packed
CHARTS = {"vendor/uplot.js"}  # loaded when somebody opens a chart
MOST_CHART_BYTES = 23_000
MOST_LINES = 200  # of a module


@pytest.fixture(scope="module")
def page() -> Page:
    return load()


def small(folder: Path, index: str = "<script src=page/HASH/app.js>", script: str = "1") -> Page:
    folder.mkdir()
    (folder / "index.html").write_text(index)
    (folder / "app.js").write_text(script)
    (folder / "package.json").write_text("{}")
    (folder / "LICENSE").write_text("free")
    return load({"": folder})


def test_the_index_names_the_hash_of_all_files(tmp_path: Path) -> None:
    one, same, other = small(tmp_path / "a"), small(tmp_path / "b"), small(tmp_path / "c", script="2")

    assert one.index.decode() == f"<script src=page/{one.digest}/app.js>"
    assert one.digest == same.digest != other.digest
    assert set(one.files) == {"app.js"}


def test_a_changed_index_has_another_hash(tmp_path: Path) -> None:
    assert small(tmp_path / "a").digest != small(tmp_path / "b", index="<script src=page/HASH/app.js async>").digest


def test_modules_are_sent_without_the_lines_of_their_comments_and_keep_their_numbers(tmp_path: Path) -> None:
    script = (
        '// one\n/** two\n * three */\nconst a = "// no"; // kept\n  /** four */ b();\n  // five\n  /** six */\nc();'
    )
    page = small(tmp_path / "a", script=script)
    assert page.files["app.js"].content.decode() == '\n\n\nconst a = "// no"; // kept\n  /** four */ b();\n\n\nc();'


def test_what_others_wrote_is_sent_with_its_licence(page: Page) -> None:
    for name in ("vendor/lit-html.js", "vendor/uplot.js"):
        assert page.files[name].content == (FOLDERS[""] / name).read_bytes()


def test_the_page_is_small(page: Page) -> None:
    packed = {name: len(gzip.compress(file.content)) for name, file in page.files.items()}
    packed.pop("docs.css")  # the page at /docs loads it, and this one does not
    charts = sum(packed.pop(name) for name in CHARTS)

    assert len(gzip.compress(page.index)) + sum(packed.values()) <= MOST_BYTES
    assert charts <= MOST_CHART_BYTES


def test_every_module_of_the_page_is_short() -> None:
    modules = [file for folder in FOLDERS.values() for file in folder.rglob("*.js") if file.parent.name != "vendor"]
    own = [file for file in modules if file.parts[-2:] != ("js", "earmark.js")]

    long = {file.name for file in own if len(file.read_text().splitlines()) >= MOST_LINES}

    assert long == set()


def test_every_file_that_is_named_exists(page: Page) -> None:
    named = set(re.findall(rf"page/{page.digest}/([\w./-]+)", page.index.decode()))
    for name, file in page.files.items():
        if name.endswith(".js") and not name.startswith("vendor/"):
            at = Path(name).parent
            for path in re.findall(r'(?:from|import|import\() ?"(\.[^"]+)"', file.content.decode()):
                named.add(_joined(at, path))

    assert named
    assert named - set(page.files) == set()


def _joined(at: Path, path: str) -> str:
    parts = list(at.parts)
    for part in path.split("/"):
        if part == "..":
            parts.pop()
        elif part != ".":
            parts.append(part)
    return "/".join(parts)


def test_the_page_names_no_other_host(page: Page) -> None:
    hosts = {
        host
        for name, file in {**page.files, "index.html": None}.items()
        if not name.startswith("vendor/")
        for host in re.findall(r"https?://([\w.-]+)", (file.content if file else page.index).decode())
    }

    # a URL in the page is an example for people or the name of a format
    assert hosts <= {"www.w3.org", "127.0.0.1", "localhost"}


def test_every_address_is_relative_so_that_a_proxy_may_serve_the_page_under_any_path(page: Page) -> None:
    texts = [page.index, *(file.content for name, file in page.files.items() if not name.startswith("vendor/"))]

    absolute = [found for text in texts for found in re.findall(r'(?:href=|src=|fetch\(|URL\()"/', text.decode())]

    assert absolute == []


def test_the_vendored_libraries_have_their_licences_beside_them() -> None:
    vendor = FOLDERS[""] / "vendor"

    assert {file.stem for file in vendor.glob("*.js")} == {file.stem for file in vendor.glob("*.LICENSE")}
