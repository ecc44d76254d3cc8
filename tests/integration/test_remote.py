"""The engine of the Open Inference Protocol, against servers of it over real sockets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from earmark.audio.types import Floats
from earmark.checkpoints.checkpoint import Checkpoint
from earmark.config.settings import Remote, Worker
from earmark.errors import LabelsRefused, ModelError, Unavailable, WorkerError
from tests import certificates

grpc = pytest.importorskip("grpc", reason="the extra oip is not installed")

from earmark.remote import endpoint  # noqa: E402
from earmark.remote.engine import RemoteEngine  # noqa: E402
from earmark.remote.messages import Described  # noqa: E402
from tests.inference_server import InferenceServer, levels  # noqa: E402
from tests.relay import Relay  # noqa: E402


@pytest.fixture(scope="module", autouse=True)
def grpc_runs() -> None:
    """Start the thread of gRPC, which goes on for as long as the process."""

    async def begin() -> None:
        grpc.aio.init_grpc_aio()

    asyncio.run(begin())


NAME = "house/moods"
RATE = 8000
CHECKPOINT = Checkpoint(NAME, "", ("low", "high"), RATE, "wav2vec2", None, None, None, 400)


def windows(count: int, seed: int = 0) -> list[Floats]:
    return list(np.random.default_rng(seed).normal(0, 0.1, (count, RATE)).astype(np.float32))


def play(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(120):
            await scene()

    asyncio.run(bounded())


@asynccontextmanager
async def serving(*servers: InferenceServer, **settings: Any) -> AsyncIterator[RemoteEngine]:
    """An engine that has these servers for endpoints, and a second for a batch."""
    timeout = settings.pop("timeout", 5.0)
    for each in servers:
        await each.start()
    remote = Remote(endpoints=tuple(each.address for each in servers), **settings)
    engine = RemoteEngine(Worker(engine="oip", timeout=timeout, remote=remote), [CHECKPOINT])
    try:
        async with engine:
            yield engine
    finally:
        for each in servers:
            await each.stop()


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.005)


def test_logits_are_those_of_the_model_behind_the_endpoint() -> None:
    async def scene() -> None:
        async with serving(InferenceServer({NAME: levels})) as engine:
            await engine.ready()
            batch = windows(32)
            np.testing.assert_array_equal(await engine.classify(NAME, batch), levels(np.stack(batch)))
            assert engine.state.phase == "ready"
            assert engine.state.loaded == {NAME}

    play(scene)


def test_a_batch_of_more_than_four_megabytes_goes_through() -> None:
    async def scene() -> None:
        async with serving(InferenceServer({NAME: levels})) as engine:
            await engine.ready()
            batch = [np.full(8 * RATE, 0.5, np.float32)] * 32
            assert sum(each.nbytes for each in batch) > 8_000_000
            assert (await engine.classify(NAME, batch)).tolist() == [[0.5, 0.5]] * 32

    play(scene)


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (Described(("low", "loud")), "its label 1 is 'loud', and that of house/moods is 'high'"),
        (Described(rate=16000), "it takes 16000 Hz, and house/moods takes 8000 Hz"),
    ],
)
def test_another_model_of_that_name_is_refused(told: Described, reason: str) -> None:
    async def scene() -> None:
        async with serving(InferenceServer({NAME: levels}, {NAME: told})) as engine:
            with pytest.raises(ModelError, match=f"house/moods at 127.0.0.1.* is another model: {reason}"):
                await engine.ready()
            with pytest.raises(ModelError, match=reason):
                await engine.classify(NAME, windows(1))

    play(scene)


def test_another_number_of_labels_is_refused_of_a_server_that_names_none() -> None:
    def three(samples: Floats) -> Floats:
        return np.zeros((len(samples), 3), np.float32)

    async def scene() -> None:
        async with serving(InferenceServer({NAME: three})) as engine:
            with pytest.raises(ModelError, match="it answers with 3 scores, and house/moods has 2 labels"):
                await engine.ready()

    play(scene)


def test_a_model_that_no_endpoint_has_is_refused_by_name_and_found_when_it_is_there() -> None:
    async def scene() -> None:
        server = InferenceServer({})
        async with serving(server) as engine:
            with pytest.raises(ModelError, match=f"{server.address} does not have {NAME}"):
                await engine.ready()
            server.models[NAME] = levels
            engine.load(CHECKPOINT)
            await engine.ready()

    play(scene)


@pytest.mark.parametrize("status", ["NOT_FOUND", "UNKNOWN"])
def test_a_server_that_fails_on_a_name_that_it_does_not_know_serves_what_it_has(status: str) -> None:
    async def scene() -> None:
        server = InferenceServer({NAME: levels})
        server.no_such_model = grpc.StatusCode[status]
        async with serving(server) as engine:
            await engine.ready()
            engine.load(replace(CHECKPOINT, name="house/bells"))
            await until(lambda: "house/bells" in engine.state.refused)
            assert engine.state.phase == "ready"
            assert len(await engine.classify(NAME, windows(3))) == 3

    play(scene)


def test_a_batch_that_one_endpoint_fails_is_answered_by_the_other() -> None:
    async def scene() -> None:
        first, second = InferenceServer({NAME: levels}), InferenceServer({NAME: levels})
        async with serving(first, second) as engine:
            await engine.ready()
            await until(lambda: all(each.ready for each in engine.remote().endpoints))
            first.failure = grpc.StatusCode.UNAVAILABLE
            results = [await engine.classify(NAME, windows(2, seed)) for seed in range(4)]
            assert [len(each) for each in results] == [2] * 4
            assert engine.remote().retried >= 1
            failed = {each.address: each.failed for each in engine.remote().endpoints}
            assert failed[first.address] >= 1
            assert failed[second.address] == 0

    play(scene)


class Replicas(InferenceServer):
    """An endpoint with replicas behind it, of which some die under the next batches."""

    dying = 0

    async def ModelInfer(self, request: Any, context: Any) -> Any:
        if self.dying:
            self.dying -= 1
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the replica died")
        return await super().ModelInfer(request, context)


def test_a_batch_under_which_a_replica_died_is_sent_to_the_same_endpoint_again_if_there_is_no_other_one() -> None:
    async def scene() -> None:
        server = Replicas({NAME: levels})
        async with serving(server) as engine:
            await engine.ready()
            server.dying = 1
            assert len(await engine.classify(NAME, windows(3))) == 3
            assert engine.remote().retried == 1
            server.dying = 100
            with pytest.raises(Unavailable, match="the replica died"):
                await engine.classify(NAME, windows(3))
            server.dying = 0

    play(scene)


def test_an_endpoint_that_hangs_costs_a_deadline_and_the_other_answers() -> None:
    async def scene() -> None:
        first, second = InferenceServer({NAME: levels}), InferenceServer({NAME: levels})
        async with serving(first, second, timeout=2.0) as engine:
            await engine.ready()
            await until(lambda: all(each.ready for each in engine.remote().endpoints))
            first.held.clear()
            results = await asyncio.gather(*(engine.classify(NAME, windows(1, seed)) for seed in range(4)))
            assert [len(each) for each in results] == [1] * 4
            assert sum(each.late for each in engine.remote().endpoints) >= 1
            first.held.set()

    play(scene)


def test_batches_at_an_endpoint_that_hangs_are_told_to_be_lost_as_soon_as_it_is_found_to_be_away() -> None:
    async def scene() -> None:
        server = InferenceServer({NAME: levels})
        async with serving(server, in_flight=3) as engine:
            await engine.ready()
            server.held.clear()
            calls = [asyncio.ensure_future(engine.classify(NAME, windows(1, seed))) for seed in range(5)]
            await until(lambda: server.most_at_once == 3)
            server.unready = grpc.StatusCode.UNAVAILABLE
            engine.load(replace(CHECKPOINT, name="house/bells"))  # asks the endpoint at once
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
            assert [type(each) for each in outcomes] == [Unavailable] * 5
            server.held.set()

    play(scene)


def test_an_endpoint_whose_network_is_silent_is_away_long_before_it_would_have_answered_and_serves_again() -> None:
    async def scene() -> None:
        server = InferenceServer({NAME: levels})
        await server.start()
        async with Relay(server.port) as relay:
            settings = Worker(engine="oip", timeout=25.0, remote=Remote(endpoints=(relay.host,)))
            async with RemoteEngine(settings, [CHECKPOINT]) as engine:
                await engine.ready()
                relay.flows.clear()
                with pytest.raises(Unavailable, match=f"^{relay.host} has given no sign of life for 3 s$"):
                    await engine.classify(NAME, windows(1))
                assert engine.state.phase == "restarting"
                relay.flows.set()
                await engine.ready()
                assert len(await engine.classify(NAME, windows(2))) == 2
        await server.stop()

    play(scene)


def test_an_endpoint_that_only_takes_long_is_not_taken_for_a_silent_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch takes longer than a silent endpoint may be silent, and the server does nothing else meanwhile."""
    monkeypatch.setattr(endpoint, "PING_SECONDS", 0.2)
    monkeypatch.setattr(endpoint, "SILENT_SECONDS", 1.5)

    def slow(samples: Floats) -> Floats:
        if samples.any():  # the batch by which the engine gets to know the model is silence
            time.sleep(2.0)
        return levels(samples)

    async def scene() -> None:
        phases: list[str] = []
        server = InferenceServer({NAME: slow})
        await server.start()
        settings = Worker(engine="oip", timeout=25.0, remote=Remote(endpoints=(server.address,)))
        async with RemoteEngine(settings, [CHECKPOINT], on_change=lambda state: phases.append(state.phase)) as engine:
            await engine.ready()
            for _ in range(2):
                assert len(await engine.classify(NAME, windows(1))) == 1
            assert phases == ["ready"]
            assert [(each.answered, each.failed) for each in engine.remote().endpoints] == [(2, 0)]
        await server.stop()

    play(scene)


def test_without_an_endpoint_a_batch_is_lost_and_the_engine_goes_on_when_one_is_there() -> None:
    async def scene() -> None:
        server = InferenceServer({NAME: levels})
        async with serving(server) as engine:
            await engine.ready()
            await server.stop()
            with pytest.raises(WorkerError, match=f"{server.address}: it cannot be reached"):
                await engine.classify(NAME, windows(1))
            assert engine.state.phase == "restarting"
            assert server.address in engine.state.detail
            again = InferenceServer({NAME: levels}, port=server.port)
            await again.start()
            await until(lambda: engine.state.phase == "ready")
            assert len(await engine.classify(NAME, windows(3))) == 3
            await again.stop()

    play(scene)


def test_an_engine_that_finds_nobody_waits_and_says_for_whom() -> None:
    async def scene() -> None:
        server = InferenceServer({NAME: levels})
        await server.start()
        await server.stop()
        engine = RemoteEngine(Worker(engine="oip", remote=Remote(endpoints=(server.address,))), [CHECKPOINT])
        async with engine:
            await until(lambda: "cannot be reached" in engine.state.detail)
            assert engine.state.detail.startswith(f"no endpoint answers: {server.address} (it cannot be reached")
            assert engine.state.phase == "starting"
            again = InferenceServer({NAME: levels}, port=server.port)
            await again.start()
            await engine.ready()
            await again.stop()

    play(scene)


def test_a_server_that_cannot_take_the_batch_is_not_asked_twice() -> None:
    async def scene() -> None:
        servers = [InferenceServer({NAME: levels}) for _ in range(2)]
        async with serving(*servers) as engine:
            await engine.ready()
            await until(lambda: all(each.ready for each in engine.remote().endpoints))
            for each in servers:
                each.failure = grpc.StatusCode.INVALID_ARGUMENT
            with pytest.raises(WorkerError, match="told to fail"):
                await engine.classify(NAME, windows(1))
            assert engine.remote().retried == 0
            assert engine.state.phase == "ready"

    play(scene)


def test_no_more_batches_than_configured_are_at_an_endpoint_at_once() -> None:
    async def scene() -> None:
        server = InferenceServer({NAME: levels})
        async with serving(server, in_flight=3) as engine:
            await engine.ready()
            server.held.clear()
            calls = [asyncio.ensure_future(engine.classify(NAME, windows(1, seed))) for seed in range(8)]
            while server.most_at_once < 3:
                await asyncio.sleep(0)
            assert engine.remote().endpoints[0].in_flight == 8
            server.held.set()
            await asyncio.gather(*calls)
            assert server.most_at_once == 3
            assert engine.remote().endpoints[0].in_flight == 0

    play(scene)


def test_a_token_the_application_and_the_name_at_the_endpoint_are_sent(tmp_path: Path) -> None:
    async def scene() -> None:
        token = tmp_path / "token"
        token.write_text("secret-of-the-hall\n")
        server = InferenceServer({"moods": levels})
        async with serving(server, names={NAME: "moods"}, application="ears", token_file=str(token)) as engine:
            await engine.ready()
            await engine.classify(NAME, windows(1))
            assert server.metadata[-1]["authorization"] == "Bearer secret-of-the-hall"
            assert server.metadata[-1]["application"] == "ears"

    play(scene)


def test_over_tls_only_a_server_with_the_right_certificate_is_asked(tmp_path: Path) -> None:
    async def scene() -> None:
        known, other = (certificates.make(tmp_path, name) for name in ("known", "other"))
        server = InferenceServer({NAME: levels})
        pair = (known.key.read_bytes(), known.certificate.read_bytes())
        await server.start(grpc.ssl_server_credentials([pair]))
        endpoints = (f"localhost:{server.port}",)
        for trusted, expected in ((other, "cannot be reached"), (known, "")):
            remote = Remote(endpoints=endpoints, tls=True, ca_file=str(trusted.certificate))
            async with RemoteEngine(Worker(engine="oip", remote=remote), [CHECKPOINT]) as engine:
                if expected:
                    await until(lambda: expected in engine.state.detail)  # noqa: B023
                else:
                    await engine.ready()
                    assert len(await engine.classify(NAME, windows(2))) == 2
        await server.stop()

    play(scene)


CLAP = replace(CHECKPOINT, name="house/clap", labels=(), model_type="clap")


def test_a_model_that_takes_labels_has_its_texts_read_by_the_endpoint_that_serves_it() -> None:
    def lengths(texts: Sequence[str]) -> Floats:
        if any(len(text) > 20 for text in texts):
            raise ModelError(f"{CLAP.name}: a text is too long")
        return np.array([[len(text), text.count("ä")] for text in texts], np.float32)

    async def scene() -> None:
        server = InferenceServer({CLAP.name: levels, NAME: levels}, {CLAP.name: Described((), RATE)})
        server.readers[CLAP.name] = lengths
        await server.start()
        settings = Worker(engine="oip", remote=Remote(endpoints=(server.address,)))
        try:
            async with RemoteEngine(settings, [CLAP, CHECKPOINT]) as engine:
                await engine.ready()
                assert (await engine.classify(CLAP.name, windows(2))).shape == (2, 2)
                assert (await engine.encode(CLAP.name, ["Säge", ""])).tolist() == [[4, 1], [0, 0]]
                with pytest.raises(LabelsRefused, match=r"house/clap: a text is too long"):
                    await engine.encode(CLAP.name, ["x" * 21])
                with pytest.raises(ModelError, match="no such model"):
                    await engine.encode("house/none", ["x"])
        finally:
            await server.stop()

    play(scene)
