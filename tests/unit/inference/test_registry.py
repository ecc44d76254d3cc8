"""The registry with an engine that loads when it is told to."""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
from pathlib import Path

import msgspec
import pytest

from earmark.checkpoints.catalogue import Entry, by_name, catalogue
from earmark.checkpoints.checkpoint import Checkpoint
from earmark.checkpoints.reader import EMBEDDED
from earmark.config import settings as config
from earmark.errors import ModelError
from earmark.inference.registry import ModelStatus, Registry
from tests.engines import FakeEngine

FOLDER = EMBEDDED / "commands"


def registry(*models: config.Model, engine: FakeEngine | None = None, clock: list[float] | None = None) -> Registry:
    entries = catalogue(config.Config(model=models))
    now = clock or [0.0]
    return Registry(entries, config.DEFAULT_MODEL, engine or FakeEngine(), clock=lambda: now[0])


def known(found: Registry, name: str) -> Entry:
    entry = found.find(name)
    assert entry is not None
    return entry


def test_a_model_is_found_by_id_and_alias_and_an_id_goes_first() -> None:
    one = Entry("a/one", aliases=("short", "a/two"))
    entries = {"a/one": one, "a/two": Entry("a/two")}
    assert by_name(entries)["short"] is one
    assert by_name(entries)["a/two"].id == "a/two"


def test_the_default_is_the_one_that_says_so_else_the_first_classifier_s() -> None:
    assert registry().default.id == config.DEFAULT_MODEL
    assert registry(config.Model(name="a/b", path="/x"), config.Model(name="a/c", default=True)).default.id == "a/c"


def test_a_model_is_loaded_when_it_is_first_asked_for_and_once() -> None:
    async def scene() -> None:
        engine = FakeEngine()
        found = registry(config.Model(name="a/b", path=str(FOLDER)), engine=engine)
        entry = known(found, "a/b")
        assert (await found.status(entry)).state == "not loaded"
        await found.request_load(entry)
        await found.request_load(entry)
        assert ([each.name for each in engine.loads], (await found.status(entry)).state) == (["a/b"], "loading")
        engine.become(loading=frozenset(), loaded=frozenset({"a/b"}))
        assert (await found.status(entry)).state == "loaded"

    asyncio.run(scene())


def test_a_waiting_client_is_told_when_it_is_loaded_or_refused_or_time_is_up() -> None:
    async def scene() -> None:
        engine = FakeEngine()
        found = registry(config.Model(name="a/b", path=str(FOLDER)), engine=engine)
        entry = known(found, "a/b")
        assert (await found.wait_settled(entry, 0.01)).state == "not loaded"
        await found.request_load(entry)
        waiting = asyncio.create_task(found.wait_settled(entry, 10))
        await asyncio.sleep(0)
        engine.become(loading=frozenset(), refused={"a/b": f"a/b: no weights in {FOLDER}"})
        status = await asyncio.wait_for(waiting, 5)
        assert status == ModelStatus("refused", "a/b: no weights in a/b")

    asyncio.run(scene())


def test_an_estimate_is_finite_above_zero_and_shrinks_and_begins_anew_with_another_load() -> None:
    async def scene() -> None:
        clock = [100.0]
        engine = FakeEngine()
        engine.become(phase="starting")
        found = registry(config.Model(name="a/b", path=str(FOLDER)), engine=engine, clock=clock)
        entry = known(found, "a/b")
        await found.request_load(entry)
        first = await found.estimate(entry)
        clock[0] += 2
        await found.request_load(entry)
        assert 0 < await found.estimate(entry) == pytest.approx(first - 2, abs=0.11)
        clock[0] += 1000
        assert await found.estimate(entry) == 0.5
        engine.become(loading=frozenset())
        await found.request_load(entry)
        assert await found.estimate(entry) == first

    asyncio.run(scene())


def test_looking_at_a_model_changes_nothing() -> None:
    async def scene() -> None:
        clock = [100.0]
        engine = FakeEngine()
        found = registry(config.Model(name="a/b", path=str(FOLDER)), engine=engine, clock=clock)
        entry = known(found, "a/b")
        await found.request_load(entry)
        clock[0] += 1
        before = await found.estimate(entry)
        engine.become(loading=frozenset(), loaded=frozenset({"a/b"}))
        await found.status(entry)
        engine.become(loading=frozenset({"a/b"}), loaded=frozenset())  # the model process was restarted
        assert await found.estimate(entry) == before

    asyncio.run(scene())


def test_other_labels_of_the_settings_are_shown_and_give_the_name_another_meaning() -> None:
    async def scene() -> None:
        model = config.Model(name="a/b", path=str(FOLDER))
        found = registry(model)
        before = await found.info(known(found, "a/b"))
        assert (before.function, before.values) == ("softmax", ())
        labels = tuple(f"word {number}" for number in range(len(before.labels)))
        renamed = config.Config(model=(msgspec.structs.replace(model, labels=labels, function="sigmoid"),))
        found.replace(catalogue(renamed), "a/b")
        entry = known(found, "a/b")
        now = await found.info(entry)
        assert (now.labels, now.function, found.meaning(entry)) == (labels, "sigmoid", 1)
        found.replace(catalogue(config.Config(model=(msgspec.structs.replace(model, labels=("x",)),))), "a/b")
        refused = await found.info(known(found, "a/b"))
        assert refused.why == f"model[0].labels: 1 names, and a/b has 15 labels ({', '.join(before.labels[:5])}, ...)"

    asyncio.run(scene())


def test_a_folder_that_is_mended_is_read_again(tmp_path: Path) -> None:
    async def scene() -> None:
        found = registry(config.Model(name="a/b", path=str(tmp_path / "model")))
        entry = known(found, "a/b")
        status = await found.status(entry)
        assert (status.state, str(tmp_path) in status.reason) == ("refused", False)
        with pytest.raises(ModelError):
            await found.request_load(entry)
        shutil.copytree(FOLDER, tmp_path / "model")
        assert (await found.status(entry)).state == "not loaded"

    asyncio.run(scene())


def test_a_refused_model_is_loaded_again_when_a_file_has_changed_and_not_before(tmp_path: Path) -> None:
    async def scene() -> None:
        folder = tmp_path / "model"
        shutil.copytree(FOLDER, folder)
        engine = FakeEngine()
        found = registry(config.Model(name="a/b", path=str(folder)), engine=engine)
        entry = known(found, "a/b")
        refused = {"a/b": f"{folder}: no weights"}
        engine.become(refused=refused)  # before anybody asked for it over HTTP
        await found.status(entry)
        for loads in (1, 1):
            await found.request_load(entry)
            engine.become(loading=frozenset(), refused=refused)
            assert (len(engine.loads), (await found.status(entry)).reason) == (loads, "a/b: no weights")
        before = (await found.info(entry)).bytes
        with (folder / "model.safetensors").open("ab") as file:
            file.write(b"x")
        for loads in (2, 2):
            await found.request_load(entry)
            engine.become(loading=frozenset(), refused=refused)
            assert len(engine.loads) == loads
        assert (await found.info(entry)).bytes == before + 1

    asyncio.run(scene())


def test_folders_are_not_read_on_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: set[str] = set()
    read = Entry.read

    def noted(entry: Entry) -> Checkpoint:
        threads.add(threading.current_thread().name)
        return read(entry)

    async def scene() -> None:
        found = registry(config.Model(name="a/b", path=str(FOLDER)), config.Model(name="a/c", path="/nowhere"))
        entry = known(found, "a/b")
        await found.status(entry)
        await found.request_load(entry)
        await found.infos()

    monkeypatch.setattr(Entry, "read", noted)
    asyncio.run(scene())
    assert threads
    assert threading.main_thread().name not in threads


def test_a_listing_says_why_and_from_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setenv("EARMARK_MODELS", str(tmp_path / "none"))
    infos = asyncio.run(registry(config.Model(name="a/hub", revision="dev")).infos())
    listed = {info.id: info for info in infos}
    assert (listed["a/hub"].origin, listed["a/hub"].revision, listed["a/hub"].state) == ("hub", "dev", "refused")
    assert "earmark pull a/hub@dev" in listed["a/hub"].why
    embedded = listed["earmark/commands"]
    assert (embedded.origin, embedded.default) == ("embedded", True)
    assert tuple(json.loads((FOLDER / "config.json").read_text())["id2label"].values()) == embedded.labels
    assert embedded.bytes == sum(file.stat().st_size for file in FOLDER.glob("*.safetensors"))
