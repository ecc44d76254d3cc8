"""The folder in which `earmark pull` keeps models.

MODELS/ORG--NAME@COMMIT/   config.json, preprocessor_config.json, README.md, the weights, manifest.json
MODELS/ORG--NAME           a link to the commit that was pulled last
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def root(environment: Mapping[str, str] = os.environ) -> Path:
    """Return $EARMARK_MODELS, else earmark/models in the user's data folder."""
    if chosen := environment.get("EARMARK_MODELS"):
        return _expanded(chosen)
    return _expanded(environment.get("XDG_DATA_HOME") or "~/.local/share") / "earmark" / "models"


def _expanded(path: str) -> Path:
    """Return the path with the home folder in it. Without a home folder, `~` is an ordinary name, which nobody has."""
    return Path(os.path.expanduser(path)).absolute()


def folder(models: Path, model: str, commit: str) -> Path:
    """Return the folder for this commit of `model`, which need not exist."""
    return models / f"{model.replace('/', '--')}@{commit}"


def newest(models: Path, model: str) -> Path:
    """Return the link to the commit that was pulled last, which need not exist."""
    return models / model.replace("/", "--")


def find(model: str, commit: str | None = None, models: Path | None = None) -> Path | None:
    """Return the folder of `model` at a commit, or at the one that was pulled last. None if there is no such folder."""
    models = models or root()
    wanted = folder(models, model, commit) if commit else newest(models, model)
    return wanted.resolve() if wanted.is_dir() else None
