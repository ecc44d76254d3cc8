from __future__ import annotations

import pytest

from earmark.commands.packages import needs_daemon_packages
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
