from __future__ import annotations

from pathlib import Path

import pytest

from earmark.checkpoints.hub_cache import root, snapshot
from earmark.errors import ModelError

ONE, OTHER = "1" * 40, "2" * 40


def cached(cache: Path, *commits: str, **refs: str) -> None:
    repository = cache / "models--acme--bells"
    for commit in commits:
        (repository / "snapshots" / commit).mkdir(parents=True)
    (repository / "refs").mkdir(exist_ok=True)
    for name, commit in refs.items():
        (repository / "refs" / name).write_text(commit)


def test_the_cache_is_where_the_hub_s_own_library_has_it() -> None:
    assert root({"HF_HUB_CACHE": "/a", "HF_HOME": "/b"}) == Path("/a")
    assert root({"HF_HOME": "/b"}) == Path("/b/hub")
    assert root({"XDG_CACHE_HOME": "/c"}) == Path("/c/huggingface/hub")
    assert root({}) == Path.home() / ".cache/huggingface/hub"


def test_main_is_what_it_stood_for_when_it_was_fetched(tmp_path: Path) -> None:
    cached(tmp_path, ONE, OTHER, main=OTHER, dev=ONE)
    assert snapshot("acme/bells", cache=tmp_path).name == OTHER
    assert snapshot("acme/bells", "dev", tmp_path).name == ONE
    assert snapshot("acme/bells", ONE, tmp_path).name == ONE


def test_one_commit_without_a_branch_is_taken_and_of_two_none(tmp_path: Path) -> None:
    cached(tmp_path, ONE)
    assert snapshot("acme/bells", cache=tmp_path).name == ONE
    cached(tmp_path, OTHER)
    with pytest.raises(ModelError, match="earmark pull acme/bells"):
        snapshot("acme/bells", cache=tmp_path)


@pytest.mark.parametrize("revision", ["3" * 40, "nosuch"])
def test_what_is_not_there_is_told_with_the_remedy_and_without_a_path(tmp_path: Path, revision: str) -> None:
    cached(tmp_path, ONE, main=ONE)
    with pytest.raises(ModelError, match=f"earmark pull acme/bells@{revision}") as caught:
        snapshot("acme/bells", revision, tmp_path)
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize("revision", ["../../etc", "/etc", "a b", "..", "a/../b"])
def test_a_revision_never_leaves_the_cache(tmp_path: Path, revision: str) -> None:
    with pytest.raises(ModelError, match="is not a revision"):
        snapshot("acme/bells", revision, tmp_path)
