"""The registry with an engine that loads when it is told to."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import pytest

from earmark.api.models import Registry
from earmark.checkpoints.catalogue import Entry, by_name, catalogue
from earmark.checkpoints.reader import EMBEDDED
from earmark.config import settings as config
from earmark.errors import ModelError
from tests.engines import FakeEngine

FOLDER = EMBEDDED / "commands"


def registry(*models: config.Model, engine: FakeEngine | None = None, clock: list[float] | None = None) -> Registry:
    entries = catalogue(config.Config(model=models))
    now = clock or [0.0]
    return Registry(entries, config.DEFAULT_MODEL, engine or FakeEngine(), clock=lambda: now[0])


def test_a_model_is_found_by_id_and_alias_and_an_id_goes_first() -> None:
    one = Entry("a/one", aliases=("short", "a/two"))
    entries = {"a/one": one, "a/two": Entry("a/two")}
    assert by_name(entries)["short"] is one
    assert by_name(entries)["a/two"].id == "a/two"


def test_the_default_is_the_one_that_says_so_else_the_first_classifier_s() -> None:
    assert registry().default.id == config.DEFAULT_MODEL
    assert registry(config.Model(name="a/b", path="/x"), config.Model(name="a/c", default=True)).default.id == "a/c"


def test_a_model_is_loaded_when_it_is_first_wanted_and_once() -> None:
    engine = FakeEngine()
    found = registry(config.Model(name="a/b", path=str(FOLDER)), engine=engine)
    entry = found.find("a/b")
    assert entry
    assert found.standing(entry).state == "not loaded"
    found.want(entry)
    found.want(entry)
    assert ([each.name for each in engine.loads], found.standing(entry).state) == (["a/b"], "loading")
    engine.become(loading=frozenset(), loaded=frozenset({"a/b"}))
    assert found.standing(entry).state == "loaded"


def test_who_waits_is_told_as_soon_as_it_is_loaded_or_refused_or_time_is_up() -> None:
    async def scene() -> None:
        engine = FakeEngine()
        found = registry(config.Model(name="a/b", path=str(FOLDER)), engine=engine)
        entry = found.find("a/b")
        assert entry
        assert (await found.settled(entry, 0.01)).state == "not loaded"
        found.want(entry)
        waiting = asyncio.create_task(found.settled(entry, 10))
        await asyncio.sleep(0)
        engine.become(loading=frozenset(), refused={"a/b": f"a/b: no weights in {FOLDER}"})
        standing = await asyncio.wait_for(waiting, 5)
        assert (standing.state, standing.why) == ("refused", "a/b: no weights in a/b")

    asyncio.run(scene())


def test_an_estimate_is_finite_above_zero_and_shrinks() -> None:
    clock = [100.0]
    engine = FakeEngine()
    engine.become(phase="starting")
    found = registry(config.Model(name="a/b", path=str(FOLDER)), engine=engine, clock=clock)
    entry = found.find("a/b")
    assert entry
    found.want(entry)
    first = found.estimate(entry)
    clock[0] += 2
    assert 0 < found.estimate(entry) == pytest.approx(first - 2, abs=0.11)
    clock[0] += 1000
    assert found.estimate(entry) == 0.5


def test_a_folder_that_is_mended_is_read_again(tmp_path: Path) -> None:
    found = registry(config.Model(name="a/b", path=str(tmp_path / "model")))
    entry = found.find("a/b")
    assert entry
    standing = found.standing(entry)
    assert (standing.state, str(tmp_path) in standing.why) == ("refused", False)
    with pytest.raises(ModelError):
        found.want(entry)
    shutil.copytree(FOLDER, tmp_path / "model")
    assert found.standing(entry).state == "not loaded"


def test_a_listing_says_why_and_from_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setenv("EARMARK_MODELS", str(tmp_path / "none"))
    listed = {info.id: info for info in registry(config.Model(name="a/hub", revision="dev")).infos()}
    assert (listed["a/hub"].origin, listed["a/hub"].revision, listed["a/hub"].state) == ("hub", "dev", "refused")
    assert "earmark pull a/hub@dev" in listed["a/hub"].why
    embedded = listed["earmark/commands"]
    assert (embedded.origin, embedded.default) == ("embedded", True)
    assert tuple(json.loads((FOLDER / "config.json").read_text())["id2label"].values()) == embedded.labels
