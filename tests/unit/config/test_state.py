from __future__ import annotations

from pathlib import Path

import pytest

from earmark.config.state import state_folder


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"STATE_DIRECTORY": "/var/lib/earmark", "XDG_STATE_HOME": "/state"}, "/var/lib/earmark"),
        ({"STATE_DIRECTORY": "/var/lib/earmark:/var/lib/other"}, "/var/lib/earmark"),
        ({"STATE_DIRECTORY": "", "XDG_STATE_HOME": "/state"}, "/state/earmark"),
        ({"XDG_STATE_HOME": "relative"}, "/home/ada/.local/state/earmark"),
        ({}, "/home/ada/.local/state/earmark"),
    ],
)
def test_the_service_managers_folder_goes_before_the_users(
    environment: dict[str, str], folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    assert state_folder(environment) == Path(folder)
