from __future__ import annotations

import pytest

from earmark.commands.packages import TORCH, needs_daemon_packages, require
from earmark.errors import EarmarkError


def test_a_package_that_is_not_installed_is_told_with_its_remedy() -> None:
    with pytest.raises(EarmarkError) as raised, needs_daemon_packages("learn"):
        raise ModuleNotFoundError("No module named 'numpy'")

    assert str(raised.value) == (
        "learn needs the daemon's packages (No module named 'numpy'): pip install 'earmark[daemon]'"
    )
    assert raised.value.exit_code == 1


def test_an_import_that_succeeds_is_no_matter() -> None:
    with needs_daemon_packages("learn"):
        import earmark.errors

    assert earmark.errors.EarmarkError is EarmarkError


def test_other_errors_pass_unchanged() -> None:
    with pytest.raises(ZeroDivisionError), needs_daemon_packages("learn"):
        raise ZeroDivisionError


def test_the_first_package_that_is_missing_is_named_with_the_extra_that_brings_it() -> None:
    def find(package: str) -> object | None:
        return object() if package in installed else None

    wanted, installed = TORCH | {"onnx": "export"}, ["torch", "transformers"]
    require("learn", TORCH, find)
    with pytest.raises(EarmarkError, match=r"^export needs the package onnx: pip install 'earmark\[export\]'$"):
        require("export", wanted, find)
    with pytest.raises(EarmarkError, match=r"^export needs the package torch: pip install 'earmark\[daemon\]'$"):
        require("export", wanted, lambda package: None)
