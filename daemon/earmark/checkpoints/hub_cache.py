"""The Hugging Face Hub's cache on this machine, read as a folder: `models--ORG--NAME/snapshots/COMMIT`.

Layout: https://huggingface.co/docs/huggingface_hub/guides/manage-cache. Nothing is fetched.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from earmark.checkpoints.checkpoint import COMMIT
from earmark.errors import ModelError

REVISION = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*")
MAIN = "main"


def root(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the cache's folder, as the Hub's own library finds it."""
    if cache := environment.get("HF_HUB_CACHE"):
        return Path(os.path.expanduser(cache))
    if home := environment.get("HF_HOME"):
        return Path(os.path.expanduser(home)) / "hub"
    return Path(os.path.expanduser(environment.get("XDG_CACHE_HOME") or "~/.cache")) / "huggingface" / "hub"


def snapshot(name: str, revision: str | None = None, cache: Path | None = None) -> Path:
    """Return the folder of model `name` at `revision`, a commit, branch or tag.

    Raises ModelError, in a sentence without local paths, if it is not in the cache.
    """
    wanted = revision or MAIN
    if not REVISION.fullmatch(wanted) or ".." in wanted:
        raise ModelError(f"{name}: {wanted!r} is not a revision; it is a commit of 40 digits, a branch or a tag")
    repository = (cache or root()) / f"models--{name.replace('/', '--')}"
    commit = wanted if COMMIT.fullmatch(wanted) else _commit(repository, wanted)
    if commit is None and revision is None:
        commit = _only(repository)
    if commit is None or not (repository / "snapshots" / commit).is_dir():
        at = f" at {revision}" if revision else ""
        raise ModelError(
            f"{name}: not in the Hub's cache on this machine{at}; fetch it: "
            f"earmark pull {name}{f'@{revision}' if revision else ''}"
        )
    return repository / "snapshots" / commit


def _commit(repository: Path, ref: str) -> str | None:
    """Return the commit of a branch or tag when it was last fetched."""
    try:
        commit = (repository / "refs" / ref).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return commit if COMMIT.fullmatch(commit) else None


def _only(repository: Path) -> str | None:
    """Return the commit if there is exactly one: a model that was fetched by its commit has no branch."""
    commits = [folder.name for folder in repository.glob("snapshots/*") if COMMIT.fullmatch(folder.name)]
    return commits[0] if len(commits) == 1 else None
