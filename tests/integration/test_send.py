"""`earmark send` and the Python sender against real daemons."""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile

import earmark_client
from earmark.errors import EarmarkError, ServerError
from earmark_client.__main__ import main
from earmark_client.sender import Sender
from tests.daemon import DEADLINE, Daemon, environment
from tests.ports import free_port
from tests.pulse import Pulse, missing
from tests.signals import Word, demo

pytestmark = pytest.mark.realtime  # all of it, for one daemon

CONFIG = """
worker.max_age = 60.0
[[source]]
kind = "network"
name = "phone"

[[source]]
kind = "file"
name = "talk"
path = "talk.wav"
loop = true

[[classifier]]
name = "commands"
sources = ["phone"]
"""


@pytest.fixture(scope="module")
def words() -> list[Word]:
    return demo(longest=4.6)[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The words of the demo as talk.wav, and a configuration with a network source."""
    made = tmp_path_factory.mktemp("send")
    samples, rate, _ = demo(longest=4.6)
    soundfile.write(made / "talk.wav", samples, rate, subtype="PCM_16")
    (made / "earmark.toml").write_text(CONFIG)
    return made


@pytest.fixture(scope="module")
def daemon(folder: Path) -> Iterator[Daemon]:
    with Daemon("--config", str(folder / "earmark.toml")) as running:
        running.logged("listening to")
        yield running


def send(daemon: Daemon, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "earmark_client", "send", *arguments, "--url", daemon.address]
    done = subprocess.run(command, input=stdin, capture_output=True, timeout=DEADLINE, env=environment())
    return subprocess.CompletedProcess(command, done.returncode, done.stdout.decode(), done.stderr.decode())


def labels_heard(daemon: Daemon, words: list[Word]) -> list[str]:
    """As many labels of the phone as there are words, from now on."""
    before = len(daemon.events)
    daemon.until(lambda event: event["type"] == "label", count=len(words))
    return [event["label"] for event in daemon.events[before:] if event["type"] == "label"]


def test_a_file_that_is_sent_is_heard_as_if_it_were_played_there(
    daemon: Daemon, folder: Path, words: list[Word]
) -> None:
    done = send(daemon, "phone", str(folder / "talk.wav"))
    assert (done.returncode, done.stdout) == (0, "")
    assert re.fullmatch(r"earmark: sending to phone at 127\.0\.0\.1:\d+\n", done.stderr)
    assert labels_heard(daemon, words) == [word.label for word in words]


def test_a_pipe_that_is_faster_than_its_sound_loses_nothing(daemon: Daemon, folder: Path, words: list[Word]) -> None:
    samples, rate = soundfile.read(folder / "talk.wav", dtype="int16")
    done = send(daemon, "phone", "-", "--rate", str(rate), "--quiet", stdin=samples.tobytes())
    assert (done.returncode, done.stderr) == (0, "")
    before = len(daemon.events)
    assert labels_heard(daemon, words) == [word.label for word in words]
    assert [event for event in daemon.events[before:] if event["type"] == "loss" and event["cause"] != "device"] == []


def test_the_python_sender_may_be_faster_than_the_sound_too(daemon: Daemon, folder: Path, words: list[Word]) -> None:
    samples, rate = soundfile.read(folder / "talk.wav", dtype="float32")

    async def main() -> float:
        async with earmark_client.Sender("phone", daemon.address, rate=rate, format="f32le", buffer=1.0) as sender:
            for part in np.array_split(samples, 100):
                await sender.send(part.tobytes())
        return sender.lost

    async def when_it_is_free() -> float:
        while True:
            try:
                return await main()
            except ServerError as error:
                if "another client is sending" not in str(error):
                    raise
                await asyncio.sleep(0.1)  # the sender of the test before has ended, and its sound is still heard

    assert asyncio.run(asyncio.wait_for(when_it_is_free(), DEADLINE)) == 0
    assert labels_heard(daemon, words) == [word.label for word in words]


@pytest.mark.skipif(bool(missing()), reason=missing() or "nothing is missing")
def test_a_microphone_is_heard_by_the_daemon_and_ctrl_c_ends_the_command(
    daemon: Daemon, folder: Path, words: list[Word]
) -> None:
    command = [sys.executable, "-m", "earmark_client", "send", "phone", "--url", daemon.address]
    with (
        Pulse() as pulse,
        subprocess.Popen(command, stderr=subprocess.PIPE, env=environment(pulse.environment), text=True) as process,
    ):
        daemon.until(lambda event: event.get("state") == "listening" and event["source"] == "phone")
        player = pulse.play(folder / "talk.wav")
        assert labels_heard(daemon, words) == [word.label for word in words]
        player.wait(DEADLINE)
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE) == 0
        assert process.stderr is not None
        assert re.search(r"earmark: .+ at \d+ Hz\nearmark: sending to phone", process.stderr.read())


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("phon", 'there is no "phon"; did you mean phone? sound can be sent for phone'),
        ("talk", '"talk" is not of kind "network", so it takes no sound; sound can be sent for phone'),
    ],
)
def test_a_refusal_ends_the_command_at_once_with_the_daemons_sentence(
    daemon: Daemon, source: str, sentence: str
) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "earmark_client", "send", source, "-", "--url", daemon.address],
        stdin=subprocess.PIPE,  # which stays open and silent
        stderr=subprocess.PIPE,
        env=environment(),
        text=True,
    ) as process:
        assert process.stderr is not None
        assert sentence in process.stderr.read()
        assert process.wait(DEADLINE) == 1


def test_a_second_sender_is_refused_and_told_why(daemon: Daemon) -> None:
    async def main() -> None:
        async with earmark_client.Sender("phone", daemon.address) as first:
            await first.send(bytes(3200))
            await asyncio.to_thread(daemon.until, lambda event: event.get("state") == "listening")
            with pytest.raises(earmark_client.ServerError, match='another client is sending for "phone"'):
                async with earmark_client.Sender("phone", daemon.address) as second:
                    await second.until_refused()

    asyncio.run(main())


def test_a_sender_that_comes_just_after_another_waits_until_that_one_was_heard(daemon: Daemon) -> None:
    second = 32_000  # bytes
    refused: list[EarmarkError] = []

    async def main() -> list[float]:
        async with earmark_client.Sender("phone", daemon.address) as first:
            await first.send(bytes(3 * second))  # faster than it sounds, so some of it waits when the client has gone
        async with earmark_client.Sender("phone", daemon.address, on_failure=refused.append) as next_one:
            await next_one.send(bytes(second))
        return [first.lost, next_one.lost]

    assert asyncio.run(main()) == [0, 0]
    assert refused == []


def test_a_sender_goes_on_with_the_next_daemon_and_tells_what_was_lost(folder: Path) -> None:
    port = free_port()
    arguments = ("--config", str(folder / "earmark.toml"))
    lost: list[float] = []
    failures: list[str] = []

    async def main() -> float:
        sender = earmark_client.Sender(
            "phone",
            f"127.0.0.1:{port}",
            buffer=1.0,
            timeout=0.1,  # no daemon is left at the end
            on_lost=lost.append,
            on_failure=lambda error: failures.append(str(error)),
        )
        async with sender:
            feeding = asyncio.create_task(feed(sender))
            with Daemon(*arguments, port=port) as first:
                await asyncio.to_thread(first.until, lambda event: event.get("state") == "listening")
                first.process.send_signal(signal.SIGKILL)
                await asyncio.to_thread(first.process.wait)
            with Daemon(*arguments, port=port) as second:
                loss = await asyncio.to_thread(second.until, lambda event: event["type"] == "loss")
                assert (loss["source"], loss["cause"], loss["start"]) == ("phone", "device", 0.0)
                assert any(loss["end"] == pytest.approx(each, abs=0.3) for each in lost)
                feeding.cancel()
                await asyncio.wait([feeding])
        return sender.lost

    async def feed(sender: earmark_client.Sender) -> None:
        began, sent = time.monotonic(), 0
        while True:
            sender.offer(bytes(3200))
            sent += 1
            await asyncio.sleep(max(0.0, began + sent / 10 - time.monotonic()))

    assert asyncio.run(main()) == pytest.approx(sum(lost))
    assert 0 < sum(lost) < DEADLINE
    assert any("nothing listens" in failure for failure in failures)


def test_a_client_sends_pcm_also_inside_a_running_loop_and_tells_what_was_lost(
    daemon: Daemon, folder: Path, words: list[Word]
) -> None:
    samples, rate = soundfile.read(folder / "talk.wav", dtype="int16")

    async def cell() -> float:
        return earmark_client.Client(daemon.address).send("phone", samples.tobytes(), rate=rate)

    assert asyncio.run(cell()) == 0
    assert labels_heard(daemon, words) == [word.label for word in words]


def test_a_client_that_sends_to_no_source_is_told(daemon: Daemon) -> None:
    with pytest.raises(EarmarkError, match="phon"):
        earmark_client.Client(daemon.address).send("phon", [bytes(3200)])
    with pytest.raises(EarmarkError, match="phon"):
        asyncio.run(earmark_client.AsyncClient(daemon.address).send("phon", [bytes(3200)]))


def test_ctrl_c_ends_the_sending_of_a_file_without_a_traceback(daemon: Daemon, folder: Path) -> None:
    """The last of those that send to the daemon, since it sends words for which nobody waits."""
    file = str(folder / "talk.wav")
    command = [sys.executable, "-m", "earmark_client", "send", "phone", file, "--url", daemon.address]
    with subprocess.Popen(command, stderr=subprocess.PIPE, env=environment(), text=True) as process:
        assert process.stderr is not None
        assert "sending to phone" in process.stderr.readline()
        time.sleep(1.5)  # by then the thread that reads the file waits for room in the queue
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE) == 0
        assert "Traceback" not in process.stderr.read()


def test_a_recording_of_which_nothing_was_sent_is_no_success(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("earmark_client.send.Sender", partial(Sender, timeout=0.1))
    address = f"127.0.0.1:{free_port()}"
    assert main(["send", "phone", str(folder / "talk.wav"), "--url", address]) == 1
    assert (
        capsys.readouterr().err.splitlines()[-1] == f"earmark: nothing was sent: there was no connection to {address}"
    )
