"""Changing what is heard, with an engine that loads nothing and devices that deliver nothing."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from pathlib import Path

import msgspec
import numpy as np
import pytest

from earmark.access.access import Access
from earmark.access.origins import Origins
from earmark.app.reconfigure import Reconfigurer
from earmark.audio.types import Span, Window
from earmark.capture.intake import Intake
from earmark.checkpoints.catalogue import catalogue
from earmark.checkpoints.checkpoint import Scoring
from earmark.config import settings as config
from earmark.config.brokers import Mqtt
from earmark.config.sources import Microphone
from earmark.config.sources import Source as SourceSettings
from earmark.detection.detectors import Detectors
from earmark.detection.draft import Draft
from earmark.errors import ConfigError, LabelsRefused, Unavailable, WorkerDied
from earmark.inference.batch import Batcher
from earmark.inference.dispatch import Dispatcher
from earmark.inference.registry import Registry
from earmark.listening import sources
from earmark.listening.live import Live
from earmark.listening.plan import plans
from earmark.listening.sources import Listening
from earmark.perimeter.certificate import Pair
from earmark.protocol.events import Config, Label, Result, Source
from earmark.publish.daemon import Daemon
from earmark.publish.publishing import Publishing
from earmark.windowing.segmenter import Segmenter
from earmark.zeroshot.text_vectors import TextVectors
from tests.engines import FakeEngine, by_last_letter, failing
from tests.labelled import clap_folder

DESK = Microphone(name="desk", quiet=("22:00-07:00",))
WORDS = config.Classifier(name="words", gate="open", mode="sliding")
MOODS = config.Classifier(name="moods", model="earmark/emotion", gate="open", mode="sliding")
SETTINGS = config.Config(source=(DESK,), classifier=(WORDS,))
DAY, NIGHT = datetime(2026, 11, 23, 12), datetime(2026, 11, 23, 23)


class Device:
    """A source that delivers nothing. Closing a `hanging` one waits for `let_go`."""

    def __init__(self, settings: SourceSettings, intake: Intake) -> None:
        self.settings, self.intake = settings, intake
        self.started = self.closed = False
        self.let_go = threading.Event()
        self.let_go.set()

    def start(self) -> None:
        self.started = True

    def close(self) -> None:
        self.intake.close()
        self.closed = self.let_go.wait(10)


class Bench:
    """A Reconfigurer that has begun. `wanted` is what the configuration file says, and `told` what was published."""

    def __init__(self) -> None:
        self.wanted, self.now = SETTINGS, DAY
        self.functions: dict[str, Scoring] = {}
        self.replaced: Pair | None = None  # the certificate that was in force before the reload
        self.engine = FakeEngine()
        self.engine.become(loaded=frozenset({"earmark/commands"}))
        self.devices: list[Device] = []
        self.told: list[Draft] = []
        self.detectors = Detectors({}, ("desk",))
        dispatcher = Dispatcher(Batcher(), self.engine)
        live = Live(self.detectors, dispatcher, {}, self._publish)
        self.let_go = threading.Event()  # without it, the segmenter waits before it delivers
        self.let_go.set()
        self.segmenter = Segmenter(lambda messages: live.deliver(messages) if self.let_go.wait(10) else None)
        made = {plan.name: plan for plan in plans(SETTINGS)}
        self.listening = Listening(
            SETTINGS,
            made,
            self.segmenter,
            self.detectors,
            self._publish,
            lambda: "id",
            build=self._build,
            wall=lambda: self.now,
        )
        self.reconfigurer = Reconfigurer(
            SETTINGS,
            lambda: self.wanted,
            listening=self.listening,
            detectors=self.detectors,
            live=live,
            engine=self.engine,
            registry=Registry(catalogue(SETTINGS), "earmark/commands", self.engine),
            publishing=Publishing((), Daemon(tuple, tuple), None),
            admit=lambda access, pair: (Access(Origins("127.0.0.1")), self.replaced),
            functions=self.functions,
            vectors=TextVectors(self.engine),
            publish=self._publish,
        )

    def states(self) -> list[str]:
        return [draft.event.state for draft in self.told if isinstance(draft.event, Source)]

    def configs(self) -> list[list[str]]:
        """The classifiers of each config event."""
        events = [draft.event for draft in self.told if isinstance(draft.event, Config)]
        return [[each.name for each in event.classifiers] for event in events]

    def _publish(self, drafts: Sequence[Draft]) -> None:
        self.told += drafts

    def _build(self, settings: SourceSettings, intake: Intake) -> Device:
        self.devices.append(Device(settings, intake))
        return self.devices[-1]


def play(scene: Callable[[Bench], Awaitable[None]], now: datetime = DAY) -> None:
    async def bounded() -> None:
        bench = Bench()
        bench.now = now
        bench.listening.add_all()
        with bench.segmenter:
            bench.listening.start()
            bench.reconfigurer.begin()
            async with asyncio.timeout(20):
                await scene(bench)
            await bench.listening.close()

    asyncio.run(bounded())


def with_classifiers(*classifiers: config.Classifier) -> config.Config:
    return msgspec.structs.replace(SETTINGS, classifier=classifiers)


def test_a_model_is_loaded_before_its_classifier_begins_and_unloaded_after_it_has_ended() -> None:
    async def scene(bench: Bench) -> None:
        bench.wanted = with_classifiers(MOODS)
        reloading = asyncio.create_task(bench.reconfigurer.reload())
        while not bench.engine.loads:
            await asyncio.sleep(0)
        assert [*bench.reconfigurer.plans] == ["words"]
        bench.engine.become(loaded=bench.engine.state.loaded | {"earmark/emotion"})
        changed = await reloading
        assert [change.key for change in changed.changes] == ["classifier[words]", "classifier[moods]"]
        assert bench.configs() == [["moods"]]
        assert bench.engine.required == {"earmark/emotion"}
        assert bench.engine.unloads == ["earmark/commands"]
        assert bench.reconfigurer.settings == bench.wanted

    play(scene)


def test_labels_and_a_function_of_a_model_take_effect_by_a_reload_without_loading_it_again() -> None:
    async def scene(bench: Bench) -> None:
        before = bench.reconfigurer.plans["words"].checkpoint
        labels = tuple(f"word {number}" for number in range(len(before.labels)))
        model = config.Model(name="earmark/commands", labels=labels, function="sigmoid")
        bench.wanted = msgspec.structs.replace(SETTINGS, model=(model,))
        await bench.reconfigurer.reload()
        plan = bench.reconfigurer.plans["words"]
        assert (plan.info.labels, plan.scoring, bench.functions) == (labels, "sigmoid", {"earmark/commands": "sigmoid"})
        assert (bench.engine.loads, bench.engine.unloads) == ([], [])
        bench.wanted = msgspec.structs.replace(SETTINGS, model=(msgspec.structs.replace(model, labels=("one",)),))
        with pytest.raises(ConfigError, match=r"^model\[0\]\.labels: 1 names, and earmark/commands has 15 labels"):
            await bench.reconfigurer.reload()
        assert bench.reconfigurer.plans["words"] is plan
        bench.wanted = SETTINGS
        await bench.reconfigurer.reload()
        assert bench.reconfigurer.plans["words"].info.labels == before.labels

    play(scene)


def test_a_model_that_only_requests_used_is_unloaded_when_it_is_removed() -> None:
    """Else one of the same name that is added later, with another folder, would be answered for by the old one."""

    async def scene(bench: Bench) -> None:
        bench.wanted = msgspec.structs.replace(SETTINGS, model=(config.Model(name="a/b", path="/nowhere"),))
        await bench.reconfigurer.reload()
        bench.engine.become(loaded=bench.engine.state.loaded | {"a/b"})
        await bench.reconfigurer.reload()
        assert bench.engine.unloads == []
        bench.wanted = SETTINGS
        await bench.reconfigurer.reload()
        assert bench.engine.unloads == ["a/b"]

    play(scene)


def test_a_model_that_is_refused_changes_nothing() -> None:
    async def scene(bench: Bench) -> None:
        bench.wanted = with_classifiers(WORDS, MOODS)
        reloading = asyncio.create_task(bench.reconfigurer.reload())
        while not bench.engine.loads:
            await asyncio.sleep(0)
        bench.engine.become(refused={"earmark/emotion": "earmark/emotion: is damaged"})
        with pytest.raises(ConfigError, match="earmark/emotion: is damaged"):
            await reloading
        assert bench.engine.unloads == ["earmark/emotion"]
        assert (bench.configs(), bench.reconfigurer.settings) == ([], SETTINGS)
        assert [*bench.reconfigurer.plans] == ["words"]

    play(scene)


def test_a_label_that_the_model_does_not_have_is_named_as_in_the_patch() -> None:
    async def scene(bench: Bench) -> None:
        with pytest.raises(ConfigError, match=r'^decide\.labels: earmark/commands has no label "stopp"'):
            await bench.reconfigurer.patch_classifier("words", {"decide": {"labels": {"stopp": 0.5}}})
        assert bench.configs() == []

    play(scene)


def test_what_the_configuration_lacks_is_told_of_all_patches_since_it_was_read() -> None:
    async def scene(bench: Bench) -> None:
        steered = bench.reconfigurer
        await steered.patch_classifier("words", {"decide": {"on": 0.7}, "vad": {"hangover_ms": 200}})
        await steered.patch_classifier("words", {"decide": {"margin": 0.2, "labels": {"stop": 0.9}}})
        assert steered.unsaved("words") == {"decide": ["on", "margin", "labels"], "vad": ["hangover_ms"]}
        await steered.patch_classifier("words", {"decide": {"on": WORDS.decide.on, "labels": {"stop": None}}})
        assert steered.unsaved("words") == {"decide": ["margin"], "vad": ["hangover_ms"]}
        await steered.reload()
        assert steered.unsaved("words") == {"decide": [], "vad": []}

    play(scene)


def test_a_device_that_hangs_holds_up_its_own_change_and_not_the_event_loop() -> None:
    async def scene(bench: Bench) -> None:
        bench.devices[0].let_go.clear()
        bench.wanted = config.Config(source=(Microphone(name="desk", device="other"),), classifier=(WORDS,))
        first = asyncio.create_task(bench.reconfigurer.reload())
        second = asyncio.create_task(bench.reconfigurer.reload())
        while not bench.devices[0].intake.closed:
            await asyncio.sleep(0)
        assert not first.done()
        bench.devices[0].let_go.set()
        assert [change.key for change in (await first).changes] == ["source[desk].device", "source[desk].quiet"]
        assert (await second).changes == ()
        assert [(device.started, device.closed) for device in bench.devices] == [(True, True), (True, False)]

    play(scene)


def test_the_sources_can_be_asked_for_while_a_reload_removes_one() -> None:
    async def scene(bench: Bench) -> None:
        hall = Microphone(name="hall")
        bench.wanted = config.Config(source=(DESK, hall), classifier=(WORDS,))
        await bench.reconfigurer.reload()
        bench.wanted = config.Config(source=(Microphone(name="desk", device="other"),), classifier=(WORDS,))
        reloading, seen = asyncio.create_task(bench.reconfigurer.reload()), list[list[str]]()
        while not reloading.done():
            seen.append([each.name for each in bench.reconfigurer.sources()])
            await asyncio.sleep(0)
        assert (seen[0], seen[-1]) == (["desk", "hall"], ["desk"])

    play(scene)


def test_quiet_hours_close_a_source_and_open_it_again() -> None:
    async def scene(bench: Bench) -> None:
        bench.now = NIGHT
        await bench.listening.follow()
        assert bench.devices[0].closed
        (status,) = bench.reconfigurer.sources()
        assert (status.state, status.paused, status.detail) == ("paused", True, "quiet hours until 07:00")
        await bench.reconfigurer.patch_source("desk", {"paused": False})
        assert len(bench.devices) == 2
        bench.now = datetime(2026, 11, 24, 7)
        await bench.listening.follow()
        bench.now = datetime(2026, 11, 24, 22)
        await bench.listening.follow()
        assert bench.devices[1].closed
        assert bench.states() == ["paused", "paused"]

    play(scene)


def test_a_source_is_not_opened_in_the_quiet_hours_in_which_the_daemon_starts() -> None:
    async def scene(bench: Bench) -> None:
        assert bench.devices == []
        assert bench.states() == ["paused"]
        bench.wanted = msgspec.structs.replace(SETTINGS, source=(msgspec.structs.replace(DESK, quiet=()),))
        await bench.reconfigurer.reload()
        assert bench.devices[0].started

    play(scene, NIGHT)


def test_a_reload_that_takes_over_another_certificate_says_so() -> None:
    async def scene(bench: Bench) -> None:
        assert (await bench.reconfigurer.reload()).changes == ()
        bench.replaced = Pair("/etc/earmark/cert.pem", "", (), ssl.create_default_context(), 1_800_000_000.0)
        (change,) = (await bench.reconfigurer.reload()).changes
        assert change.key == "server.certificate_file"
        assert change.before == "/etc/earmark/cert.pem (expires 2027-01-15)"

    play(scene)


def test_a_reload_in_which_a_part_does_not_answer_is_not_said_to_have_changed_nothing(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "SETTLE_SECONDS", 0.01)

    async def scene(bench: Bench) -> None:
        serving = asyncio.create_task(bench.reconfigurer.serve_signals())
        bench.let_go.clear()
        bench.wanted = msgspec.structs.replace(SETTINGS, source=())
        bench.reconfigurer.ask()
        while not caplog.messages:
            await asyncio.sleep(0)
        bench.let_go.set()
        serving.cancel()

    play(scene)
    (told,) = caplog.messages
    assert told.startswith("reloaded only in part: the segmenter thread has made no round for 0.01 s: ")


def test_a_signal_that_comes_while_the_model_process_does_not_read_labels_is_said_to_have_changed_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(bench: Bench) -> None:
        bench.engine.vectors = failing(WorkerDied("a/clap: the model process died while it read 1 labels"))
        bench.wanted = with_sounds(tmp_path, labels=("frog", "rain"))
        serving = asyncio.create_task(bench.reconfigurer.serve_signals())
        caplog.clear()
        bench.reconfigurer.ask()
        while not caplog.messages:
            await asyncio.sleep(0)
        serving.cancel()
        assert caplog.messages == [
            "not reloaded, nothing has changed: a/clap: the model process died while it read 1 labels"
        ]
        assert [*bench.reconfigurer.plans["sounds"].info.labels] == ["dog", "rain", "speech"]

    play_sounds(tmp_path, scene)


def test_a_pause_by_request_outlasts_a_reload() -> None:
    async def scene(bench: Bench) -> None:
        changed = await bench.reconfigurer.patch_source("desk", {"paused": True})
        assert [(each.key, each.before, each.after) for each in changed.changes] == [
            ("source[desk].paused", False, True)
        ]
        bench.wanted = with_classifiers(msgspec.structs.replace(WORDS, hop=0.5))
        await bench.reconfigurer.reload()
        assert len(bench.devices) == 1
        assert (await bench.reconfigurer.patch_source("desk", {"paused": True})).changes == ()

    play(scene)


def test_a_source_is_paused_at_once_while_a_reload_waits_for_the_model_process() -> None:
    async def scene(bench: Bench) -> None:
        bench.wanted = with_classifiers(WORDS, MOODS)
        loading = asyncio.create_task(bench.reconfigurer.reload())
        while not bench.engine.loads:
            await asyncio.sleep(0)
        async with asyncio.timeout(20):
            await bench.reconfigurer.patch_source("desk", {"paused": True})
        assert bench.devices[0].closed
        assert not loading.done()
        bench.engine.become(loaded=frozenset({"earmark/commands", "earmark/emotion"}))
        await loading
        assert bench.listening.is_paused("desk")

    play(scene)


def test_a_publisher_without_its_password_refuses_the_reload_and_nothing_changes() -> None:
    async def scene(bench: Bench) -> None:
        broken = Mqtt(username="earmark", password_file="/nowhere/password")
        bench.wanted = msgspec.structs.replace(with_classifiers(WORDS, MOODS), publish=(broken,))
        with pytest.raises(ConfigError) as caught:
            await bench.reconfigurer.reload()
        assert str(caught.value) == (
            "publish[0].password_file: /nowhere/password cannot be read: No such file or directory"
        )
        assert (bench.reconfigurer.settings, list(bench.reconfigurer.plans)) == (SETTINGS, ["words"])

    play(scene)


def with_sounds(folder: Path, **changes: object) -> config.Config:
    """A classifier `sounds` with a model that takes labels, whose vector of a text is told by its last letter."""
    sounds = config.Classifier(
        name="sounds",
        model="a/clap",
        gate="open",
        mode="sliding",
        **({"labels": ("dog", "rain"), "background": ("speech",)} | changes),  # type: ignore[arg-type]
    )
    return msgspec.structs.replace(
        SETTINGS, classifier=(sounds,), model=(config.Model(name="a/clap", path=str(clap_folder(folder))),)
    )


def play_sounds(folder: Path, scene: Callable[[Bench], Awaitable[None]]) -> None:
    async def heard(bench: Bench) -> None:
        bench.engine.become(loaded=bench.engine.state.loaded | {"a/clap"})
        bench.wanted = with_sounds(folder)
        await bench.reconfigurer.reload()
        bench.told.clear()
        bench.engine.texts.clear()
        await scene(bench)

    play(heard)


def answer(bench: Bench, start: int, letter: str) -> None:
    """Have the model answer a window with the vector of a letter, so long that no other label has a score."""
    vector = 10 * by_last_letter([letter])[0]
    samples = np.zeros(1000, np.float32)
    window = Window("desk", "sounds", "a/clap", Span(start, start + 1000, start, start + 1000, False), samples, 1000, 1)
    bench.told += bench.detectors.answered(bench.detectors.reserve(window), vector, 1)


def in_short(bench: Bench) -> list[str]:
    found = []
    for draft in bench.told:
        match draft.event:
            case Label(label=label, state=state, reason=reason):
                found.append(f"{label} {state} {reason or ''}".strip())
            case Result(result=(best, *_)):
                found.append(f"heard {best.label}")
            case Config(classifiers=(each,)) if each.label_set:
                found.append(f"labels {', '.join(each.labels)}")
    return found


def test_other_labels_are_told_between_the_last_result_of_the_old_ones_and_the_first_of_the_new(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        for start in (0, 1000):
            answer(bench, start, "g")
        changed = await bench.reconfigurer.patch_classifier("sounds", {"labels": ["frog", "rain", "wind"]})
        for start in (2000, 3000):
            answer(bench, start, "d")
        assert [change.key for change in changed.changes] == ["classifier[sounds].labels"]
        assert in_short(bench) == [
            *("heard dog", "heard dog", "dog on"),
            *("dog off reload", "labels frog, rain, wind, speech"),
            *("heard wind", "heard wind", "wind on"),
        ]
        assert bench.engine.texts == [["This is a sound of frog.", "This is a sound of wind."]]
        assert bench.reconfigurer.unsaved("sounds") == {"label_set": ["labels"], "decide": [], "vad": []}
        (status,) = bench.reconfigurer.classifiers()
        assert status.thresholds == {"frog": 0.8, "rain": 0.8, "wind": 0.8}

    play_sounds(tmp_path, scene)


def test_a_reload_changes_labels_as_a_patch_does_and_tells_once(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        bench.wanted = with_sounds(tmp_path, labels=("fire", "hail"), background=(), template="I hear {}")
        await bench.reconfigurer.reload()
        answer(bench, 0, "l")
        assert in_short(bench) == ["labels fire, hail", "heard hail"]
        assert bench.engine.texts == [["I hear fire", "I hear hail"]]

    play_sounds(tmp_path, scene)


def test_labels_that_the_model_cannot_read_change_nothing(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        bench.engine.vectors = failing(LabelsRefused("a/clap: 'frog' has 600 tokens, and 512 are the most"))
        with pytest.raises(ConfigError, match=r"^labels: a/clap: 'frog' has 600 tokens, and 512 are the most$"):
            await bench.reconfigurer.patch_classifier("sounds", {"labels": ["frog", "rain"]})
        answer(bench, 0, "g")
        assert in_short(bench) == ["heard dog"]
        assert bench.reconfigurer.unsaved("sounds") == {"decide": [], "vad": []}

    play_sounds(tmp_path, scene)


def test_a_model_process_that_fails_on_labels_is_no_fault_of_theirs_and_changes_nothing(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        bench.engine.vectors = failing(WorkerDied("a/clap: the model process died while it read 1 labels"))
        with pytest.raises(WorkerDied):
            await bench.reconfigurer.patch_classifier("sounds", {"labels": ["frog", "rain"]})
        answer(bench, 0, "g")
        assert in_short(bench) == ["heard dog"]

    play_sounds(tmp_path, scene)


def test_labels_wait_for_a_model_process_that_is_started_again_and_a_threshold_does_not(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        bench.engine.become(phase="failed", loaded=frozenset(), detail="the model process was killed")
        await bench.reconfigurer.patch_classifier("sounds", {"decide": {"on": 0.9}})
        patching = asyncio.create_task(bench.reconfigurer.patch_classifier("sounds", {"labels": ["frog", "rain"]}))
        while not bench.engine.waits:
            await asyncio.sleep(0)
        bench.engine.become(phase="ready", loaded=frozenset({"a/clap"}), detail="")
        assert [change.key for change in (await patching).changes] == ["classifier[sounds].labels"]
        bench.engine.become(phase="failed", loaded=frozenset(), detail="the model process was killed")
        patching = asyncio.create_task(bench.reconfigurer.patch_classifier("sounds", {"labels": ["owl", "rain"]}))
        while bench.engine.waits < 2:
            await asyncio.sleep(0)
        bench.engine.become(restarts=1)
        with pytest.raises(Unavailable, match=r"^a/clap is not loaded now: the model process was killed$"):
            await patching
        assert "frog" in bench.reconfigurer.plans["sounds"].info.labels

    play_sounds(tmp_path, scene)


def test_labels_for_a_model_that_has_its_own_are_refused_by_name() -> None:
    async def scene(bench: Bench) -> None:
        with pytest.raises(ConfigError, match=r"^labels: earmark/commands has labels of its own; "):
            await bench.reconfigurer.patch_classifier("words", {"labels": ["frog", "rain"]})
        assert bench.configs() == []

    play(scene)
