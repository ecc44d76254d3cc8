from __future__ import annotations

from pathlib import Path

import pytest

from earmark.checkpoints.store import find, root
from earmark.errors import ModelError


def test_models_are_kept_in_the_folder_of_the_environment_or_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    assert root({"EARMARK_MODELS": "~/models"}) == Path("/home/ada/models")
    assert root({"XDG_DATA_HOME": "/data"}) == Path("/data/earmark/models")
    assert root({}) == Path("/home/ada/.local/share/earmark/models")


def test_without_a_home_folder_the_remedy_is_told_and_no_model_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match=r"has no home folder for models .*; set EARMARK_MODELS to a folder"):
        root({"EARMARK_MODELS": "~nobody-of-this-name/models"})
    monkeypatch.setenv("EARMARK_MODELS", "~nobody-of-this-name/models")
    assert find("acme/doorbells") is None
