"""The libraries of the page are those that npm has in the pinned versions, byte for byte."""

from __future__ import annotations

import json

import pytest

from tests.daemon import ROOT

VENDOR = ROOT / "clients" / "web" / "vendor"
PACKAGES = ROOT / "tests" / "web" / "node_modules"
FILES = {
    "lit-html.js": "lit-html/lit-html.js",
    "lit-html.LICENSE": "lit-html/LICENSE",
    "uplot.js": "uplot/dist/uPlot.iife.min.js",
    "uplot.css": "uplot/dist/uPlot.min.css",
    "uplot.LICENSE": "uplot/LICENSE",
}


def test_every_vendored_file_comes_from_a_package() -> None:
    assert {file.name for file in VENDOR.iterdir()} == set(FILES)


@pytest.mark.parametrize("name", FILES)
def test_a_vendored_file_is_that_of_the_pinned_version(name: str) -> None:
    original = PACKAGES / FILES[name]
    if not original.is_file():
        pytest.skip("the packages are not installed (npm ci --prefix tests/web)")
    pinned = json.loads((ROOT / "tests" / "web" / "package.json").read_text())["dependencies"]
    package = FILES[name].partition("/")[0]

    assert json.loads((PACKAGES / package / "package.json").read_text())["version"] == pinned[package]
    assert (VENDOR / name).read_bytes() == original.read_bytes()
