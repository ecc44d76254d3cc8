"""The folder in which `earmark pull` keeps models.

MODELS/ORG--NAME@COMMIT/   config.json, preprocessor_config.json, README.md, the weights, manifest.json
MODELS/ORG--NAME           a link to the commit that was pulled last
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from earmark.errors import ModelError


def root(environment: Mapping[str, str] = os.environ) -> Path:
    """Return $EARMARK_MODELS, else earmark/models in the user's data folder. Raises ModelError without a home."""
    if chosen := environment.get("EARMARK_MODELS"):
        return _expanded(chosen)
    return _expanded(environment.get("XDG_DATA_HOME") or "~/.local/share") / "earmark" / "models"


def _expanded(path: str) -> Path:
    """Return the path with the home folder in it. Raises ModelError if this user has none."""
    expanded = os.path.expanduser(path)
    if expanded.startswith("~"):
        raise ModelError(f"this user has no home folder for models ({path}); set EARMARK_MODELS to a folder")
    return Path(expanded).absolute()


def folder(models: Path, model: str, commit: str) -> Path:
    """Return the folder for this commit of `model`, which need not exist."""
    return models / f"{model.replace('/', '--')}@{commit}"


def newest(models: Path, model: str) -> Path:
    """Return the link to the commit that was pulled last, which need not exist."""
    return models / model.replace("/", "--")


def find(model: str, commit: str | None = None, models: Path | None = None) -> Path | None:
    """Return the folder of `model` at a commit, or at the one that was pulled last. None if there is no such folder."""
    try:
        models = models or root()
    except ModelError:  # without a folder for models, none was fetched
        return None
    wanted = folder(models, model, commit) if commit else newest(models, model)
    return wanted.resolve() if wanted.is_dir() else None
