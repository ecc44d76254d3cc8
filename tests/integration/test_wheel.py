"""What is shipped: the wheel, built and unpacked beside nothing else of this tree."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel's content, as pip would lay it out."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    built = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = folder.glob("earmark-*.whl")
    assert wheel.stat().st_size < 50_000_000
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def run(module: str, *arguments: str, path: list[Path]) -> subprocess.CompletedProcess[str]:
    """Run a module with nothing on its path but the standard library and `path`."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))}
    command = [sys.executable, "-S", "-P", "-m", module, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, cwd="/")


def test_the_client_runs_with_its_two_dependencies_alone(unpacked: Path, tmp_path: Path) -> None:
    for name in ("msgspec", "websockets"):
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.submodule_search_locations
        (tmp_path / name).symlink_to(spec.submodule_search_locations[0])

    helped = run("earmark_client", "--help", path=[unpacked, tmp_path])
    refused = run("earmark", "--check", path=[unpacked, tmp_path])

    assert helped.returncode == 0, helped.stderr
    assert "watch" in helped.stdout
    assert refused.returncode == 1
    assert "is not installed: pip install 'earmark[daemon]'" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_the_settings_and_the_examples_are_in_the_wheel(unpacked: Path) -> None:
    shown = [path for path in sys.path if path.endswith("site-packages")]
    arguments: tuple[list[str], ...] = ([], ["speech-commands"], ["speech-comands"])
    listed, example, wrong = (
        run("earmark", "--example", *each, path=[unpacked, *map(Path, shown)]) for each in arguments
    )
    printed = run("earmark", "--print-config", path=[unpacked, *map(Path, shown)])

    config = ROOT / "config"
    assert printed.stdout == (config / "earmark.toml").read_text()
    assert example.stdout == (config / "examples" / "speech-commands.toml").read_text()
    daemons = {file.stem for file in (config / "examples").glob("*.toml")} - {"routes"}  # which is for `earmark route`
    assert {line.split()[0] for line in listed.stdout.splitlines()} == daemons
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr == 'earmarkd: --example: there is no "speech-comands"; did you mean speech-commands?\n'


def test_the_daemon_in_the_wheel_has_its_models_and_its_demo(unpacked: Path) -> None:
    spec = importlib.util.find_spec("numpy")
    assert spec is not None
    assert spec.origin is not None
    packages = Path(spec.origin).parents[1]

    checked = run("earmark", "--check", "--demo", path=[unpacked, packages])

    assert checked.returncode == 0, checked.stderr
    exported = {file.parent.name for file in (unpacked / "earmark" / "models").glob("*/model.onnx")}
    assert exported == {file.parent.name for file in (unpacked / "earmark" / "models").glob("*/config.json")} != set()
    for name in ("commands", "emotion", "sounds"):
        assert f"classifier {name}: earmark/{name}, " in checked.stdout
    assert checked.stdout.count("hears demo") == 3
    assert sorted(path.name for path in (unpacked / "earmark" / "demo").iterdir()) == ["demo.flac", "demo.json"]


def test_the_page_is_in_the_wheel_with_the_client_and_the_licences(unpacked: Path) -> None:
    files = unpacked / "earmark" / "web" / "files"
    expected = {
        file.relative_to(ROOT / "clients" / folder)
        for folder in ("web", "js")
        for file in (ROOT / "clients" / folder).rglob("*")
        if file.is_file()
    }

    found = {file.relative_to(files / name) for name in ("page", "client") for file in (files / name).rglob("*.*")}

    assert found == expected
    assert Path("vendor/lit-html.LICENSE") in found
