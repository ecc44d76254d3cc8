"""Where `earmark pull` keeps models, and what is there.

MODELS/ORG--NAME@COMMIT/   config.json, preprocessor_config.json, README.md, the weights, manifest.json
MODELS/ORG--NAME           a link to the one that was pulled last
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def root(environment: Mapping[str, str] = os.environ) -> Path:
    """$EARMARK_MODELS, else earmark/models in the user's data folder."""
    if chosen := environment.get("EARMARK_MODELS"):
        return Path(chosen).expanduser().absolute()
    data = environment.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data).expanduser().absolute() / "earmark" / "models"


def folder(models: Path, model: str, commit: str) -> Path:
    """Where this commit of `model` is, if it is there."""
    return models / f"{model.replace('/', '--')}@{commit}"


def newest(models: Path, model: str) -> Path:
    """The link to what was pulled last, if there is one."""
    return models / model.replace("/", "--")


def find(model: str, commit: str | None = None, models: Path | None = None) -> Path | None:
    """The folder of `model` at a commit, or as it was pulled last; None where there is none."""
    where = models or root()
    wanted = folder(where, model, commit) if commit else newest(where, model)
    return wanted.resolve() if wanted.is_dir() else None
