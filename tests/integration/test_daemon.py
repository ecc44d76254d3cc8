"""The daemon as its users run it: a process, its output, its port, its exit code."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import websockets.sync.client

import earmark_client
from earmark.checkpoints import reader
from earmark.protocol.events import Label
from tests.daemon import DEADLINE, ROOT, Daemon, earmarkd, environment, events, heard
from tests.machine import Machine
from tests.pulse import Pulse, missing
from tests.signals import Word, demo, demo_file, noise

BUSY = "worker.max_age = 60.0\n"  # a setting with which a busy machine loses no window


@pytest.fixture(scope="module")
def words() -> list[Word]:
    return demo()[2]


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The words of the demo, as a file."""
    return str(demo_file(tmp_path_factory.mktemp("recording")))


@pytest.fixture(scope="module")
def printed(recording: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """What is told of the recording, flat out: the lines for people, and the events as JSON."""
    file = tmp_path_factory.mktemp("events") / "events"
    done = earmarkd("--file", recording, "--fast", "--once", "--events", str(file))
    assert done.returncode == 0, done.stderr
    return done.stdout, file.read_text()


def test_a_recording_flat_out_gives_one_result_per_utterance_with_its_times_and_ends(
    words: list[Word], printed: tuple[str, str]
) -> None:
    _, told = printed
    results = events(told, "result")
    assert heard(results) == [word.label for word in words]
    for result, word in zip(results, words, strict=True):
        assert result["start"] == pytest.approx(word.start, abs=0.15)
        assert result["end"] == pytest.approx(word.end, abs=0.15)
    labels = events(told, "label")
    assert [label["label"] for label in labels] == [word.label for word in words if word.label != "_unknown_"]
    numbers = [json.loads(line)["seq"] for line in told.splitlines()]
    assert numbers == list(range(1, len(numbers) + 1))
    assert events(told, "loss") == []


@pytest.mark.realtime
def test_a_recording_at_real_time_gives_the_same_and_every_subscriber_sees_it(tmp_path: Path) -> None:
    samples, rate, words = demo(longest=8.5)
    short = tmp_path / "short.wav"
    soundfile.write(short, samples, rate)
    expected = [word.label for word in words]
    seen: list[str] = []

    settings = tmp_path / "earmark.toml"
    settings.write_text(BUSY)
    with Machine() as machine, Daemon("--file", str(short), "--config", str(settings)) as daemon:
        address = daemon.address
        epoch = next(earmark_client.events_sync(address, types="hello")).epoch  # type: ignore[union-attr]

        def subscribe() -> None:
            async def follow() -> None:
                begin = earmark_client.Position(epoch, 0)
                async with aclosing(earmark_client.events(address, classifiers=["commands"], since=begin)) as stream:
                    async for event in stream:
                        if isinstance(event, Label):
                            seen.append(event.label)
                            if len(seen) == len(expected):
                                return

            asyncio.run(asyncio.wait_for(follow(), DEADLINE))

        follower = threading.Thread(target=subscribe)
        follower.start()
        daemon.until(lambda event: event["type"] == "source" and event["state"] == "stopped")
        follower.join(DEADLINE)
        with urllib.request.urlopen(f"http://{address}/ready", timeout=DEADLINE) as answer:
            assert answer.status == 200  # without --once it goes on serving
        results = [event for event in daemon.events if event["type"] == "result"]
        assert daemon.end() == 0

    assert heard(results) == expected
    assert seen == expected
    assert all(result["lag"] < 2 + machine.most_late(4) for result in results)


@pytest.mark.realtime
@pytest.mark.skipif(bool(missing()), reason=missing() or "nothing is missing")
def test_the_same_words_through_a_microphone_give_the_same_labels(tmp_path: Path) -> None:
    samples, rate, words = demo(longest=8.5)
    wav = tmp_path / "say.wav"
    soundfile.write(wav, samples, rate)
    expected = [word.label for word in words]
    settings = tmp_path / "earmark.toml"
    settings.write_text(f'{BUSY}[[source]]\nkind = "microphone"\nname = "desk"\ndevice = "pulse"\n')

    with Pulse() as pulse, Daemon("--config", str(settings), extra=pulse.environment) as daemon:
        daemon.until(lambda event: event["type"] == "source" and event["state"] == "listening")
        player = pulse.play(wav)
        daemon.until(lambda event: event["type"] == "result", count=len(expected))
        player.wait(DEADLINE)

    results = [event for event in daemon.events if event["type"] == "result"]
    assert heard(results) == expected
    first = results[0]["start"] - words[0].start  # when the playing began, in the microphone's stream
    for result, word in zip(results, words, strict=False):
        assert result["start"] - first == pytest.approx(word.start, abs=0.15)


@pytest.mark.scenario(3)
@pytest.mark.realtime
@pytest.mark.skipif(bool(missing()), reason=missing() or "nothing is missing")
def test_the_daemon_ends_soon_while_the_sound_server_is_frozen(tmp_path: Path) -> None:
    settings = tmp_path / "earmark.toml"
    settings.write_text('[[source]]\nkind = "microphone"\nname = "desk"\ndevice = "pulse"\n')
    with Pulse() as pulse, Daemon("--config", str(settings), extra=pulse.environment) as daemon:
        daemon.until(lambda event: event["type"] == "source" and event["state"] == "listening")
        pulse.freeze()
        daemon.until(lambda event: event["type"] == "source" and event["state"] == "stalled")
        with Machine() as machine:
            before = time.monotonic()
            assert daemon.end() == 0
            assert time.monotonic() - before < 2.0 + machine.late(before)


@pytest.mark.realtime
@pytest.mark.parametrize("ending", ["time.sleep(5)", "os.close(1); time.sleep(5)", "pass"])
def test_a_word_is_heard_though_its_source_stops_right_after_it(tmp_path: Path, ending: str) -> None:
    samples, rate, words = demo(longest=8.5)
    word = words[0]
    end = round((word.end + 0.08) * rate)
    said = samples[end - round(0.85 * rate) : end]
    (tmp_path / "word.raw").write_bytes((said * 32767).astype("<i2").tobytes())
    script = f"import os, time; os.write(1, open({str(tmp_path / 'word.raw')!r}, 'rb').read()); {ending}"
    settings = tmp_path / "earmark.toml"
    settings.write_text(
        f'{BUSY}[[source]]\nkind = "command"\nname = "talk"\nrate = {rate}\n'
        f"argv = {json.dumps([sys.executable, '-c', script])}\n"
    )
    with Daemon("--config", str(settings)) as daemon:
        daemon.until(lambda event: event["type"] == "result")
    results = [event for event in daemon.events if event["type"] == "result"]
    assert heard(results)[0] == word.label
    assert [event for event in daemon.events if event["type"] == "loss" and event["cause"] == "overload"] == []


@pytest.mark.scenario(6)
def test_another_rate_and_two_channels_give_the_same_labels(words: list[Word], tmp_path: Path) -> None:
    import soxr

    samples, rate, _ = demo()
    stereo = soxr.resample(np.column_stack([samples, samples]), rate, 44100)
    soundfile.write(tmp_path / "stereo.wav", stereo, 44100, subtype="PCM_24")

    done = earmarkd("--file", str(tmp_path / "stereo.wav"), "--fast", "--once", "--events", "-")

    assert done.returncode == 0, done.stderr
    assert heard(events(done.stdout, "result")) == [word.label for word in words]
    numbers = [json.loads(line)["seq"] for line in done.stdout.splitlines()]
    assert numbers == list(range(1, len(numbers) + 1))


def test_readable_lines_say_what_was_heard(words: list[Word], printed: tuple[str, str]) -> None:
    readable, _ = printed
    lines = [line.split() for line in readable.splitlines()]
    said = [fields[3] for fields in lines if len(fields) == 5 and fields[2] == "commands"]
    assert said == [word.label for word in words if word.label != "_unknown_"]
    assert "\x1b" not in readable  # plain in a pipe


def test_several_files_are_heard_at_once(recording: str, tmp_path: Path) -> None:
    other = tmp_path / "commands-3.flac"
    shutil.copy(recording, other)
    files = [argument for path in (recording, str(other), recording) for argument in ("--file", path)]
    done = earmarkd(*files, "--fast", "--once", "--events", "-")

    by_source: dict[str, list[str]] = {}
    for result in events(done.stdout, "result"):
        by_source.setdefault(result["source"], []).append(result["result"][0]["label"])
    assert set(by_source) == {"commands", "commands-2", "commands-3"}
    assert by_source["commands"] == by_source["commands-2"] == by_source["commands-3"]


def test_the_daemon_process_never_imports_torch_and_prints_nothing_where_it_is_quiet(recording: str) -> None:
    program = (
        "import sys; from earmark.__main__ import main; "
        f"code = main(['--listen', '127.0.0.1:0', '--file', {recording!r}, '--fast', '--once', '--quiet']); "
        "print(code, sorted({'torch', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment(), timeout=DEADLINE
    )
    assert done.stdout == "0 []\n", done.stderr


ALWAYS_ON = """
[[classifier]]
name = "words"
gate = "open"
mode = "sliding"
[classifier.decide]
on = 0.0
off = 0.0
hits = 1
smooth = 1
ignore = []
exclusive = false
"""
"""Every label is on from the first window to the last."""


def is_off(event: dict[str, Any]) -> bool:
    return bool(event["type"] == "label" and event["state"] == "off")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_every_label_goes_off_when_the_daemon_is_told_to_end(number: signal.Signals, tmp_path: Path) -> None:
    settings = tmp_path / "earmark.toml"
    settings.write_text(ALWAYS_ON)
    with Daemon("--demo", "--config", str(settings)) as daemon:
        daemon.until(lambda event: event["type"] == "label")
        daemon.process.send_signal(number)
        assert daemon.until(is_off)["reason"] == "shutdown"
        assert daemon.process.wait(DEADLINE) == 0


def test_every_label_goes_off_when_the_terminal_closes(tmp_path: Path) -> None:
    settings = tmp_path / "earmark.toml"
    settings.write_text(ALWAYS_ON)
    master, terminal = os.openpty()
    owns_it = "import fcntl, os, sys, termios; os.setsid(); fcntl.ioctl(int(sys.argv.pop(1)), termios.TIOCSCTTY, 0); "
    serve = "from earmark.__main__ import main; sys.exit(main())"
    with Daemon(
        "--demo", "--config", str(settings), program=("-c", owns_it + serve, str(terminal)), pass_fds=(terminal,)
    ) as daemon:
        os.close(terminal)
        daemon.until(lambda event: event["type"] == "label")
        os.close(master)  # the kernel sends SIGHUP
        assert daemon.until(is_off)["reason"] == "shutdown"
        assert daemon.process.wait(DEADLINE) == 0


def test_a_daemon_under_nohup_goes_on_when_its_terminal_closes(tmp_path: Path) -> None:
    settings = tmp_path / "earmark.toml"
    settings.write_text(ALWAYS_ON)
    nohup = "import signal, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN); from earmark.__main__ import main; "
    with Daemon("--demo", "--config", str(settings), program=("-c", f"{nohup} sys.exit(main())")) as daemon:
        daemon.until(lambda event: event["type"] == "label")
        daemon.process.send_signal(signal.SIGHUP)
        daemon.until(lambda event: event["type"] == "result", count=3)
        assert not any(map(is_off, daemon.events))
        assert daemon.end() == 0


def test_a_reload_that_is_asked_for_while_the_daemon_starts_does_not_end_it_and_is_done_later(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with Daemon("--config", str(tmp_path / "pipe")) as daemon:
        with open(tmp_path / "pipe", "w") as pipe:  # which waits until the daemon reads
            daemon.process.send_signal(signal.SIGHUP)
            pipe.write("source = []\njournal = false\n")
        assert "no file that can be read again" in daemon.logged("not reloaded")
        assert daemon.end() == 0


def test_every_label_goes_off_when_the_program_that_reads_the_events_has_died(tmp_path: Path) -> None:
    settings = tmp_path / "earmark.toml"
    settings.write_text(ALWAYS_ON)
    with Daemon("--demo", "--config", str(settings)) as daemon:
        daemon.until(lambda event: event["type"] == "label")
        with websockets.sync.client.connect(f"ws://{daemon.address}/v1/events?types=label", proxy=None) as connection:
            connection.recv(DEADLINE)
            assert daemon.process.stdout is not None
            os.dup2(os.open(os.devnull, os.O_RDONLY), daemon.process.stdout.fileno())
            off = next(event for text in connection if (event := json.loads(text))["state"] == "off")
        assert (off["state"], off["reason"]) == ("off", "shutdown")
        assert daemon.process.wait(DEADLINE) == 0


@pytest.mark.scenario(7)
def test_a_killed_worker_is_replaced_and_nobody_is_dropped() -> None:
    with Daemon("--demo") as daemon:
        daemon.until(lambda event: event["type"] == "label")
        address = daemon.address
        with urllib.request.urlopen(f"http://{address}/info", timeout=DEADLINE) as answer:
            worker = json.load(answer)["worker"]["pid"]
        os.kill(worker, signal.SIGKILL)
        daemon.logged("restarting")
        daemon.new_events()  # of what was heard before
        daemon.until(lambda event: event["type"] == "label" and event["source"] == "demo", count=2)
        with urllib.request.urlopen(f"http://{address}/info", timeout=DEADLINE) as answer:
            info = json.load(answer)
        assert info["worker"]["restarts"] == 1
        assert info["worker"]["pid"] != worker
        assert daemon.end() == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("to", ["/dev/full", "-"])
def test_events_that_a_full_disk_lost_make_the_exit_code_1(to: str, tmp_path: Path) -> None:
    samples, rate, _ = demo(longest=3.0)
    soundfile.write(tmp_path / "short.wav", samples, rate)
    arguments = ("--file", str(tmp_path / "short.wav"), "--fast", "--once", "--events", to)
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "earmark", "--listen", "127.0.0.1:0", *arguments],
            stdout=full if to == "-" else subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            timeout=DEADLINE,
            env=environment(),
        )
    assert done.returncode == 1, done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"earmarkd: --events: {to}: ")
    assert last.endswith(" events were lost: No space left on device")


@pytest.mark.skipif(sys.platform != "linux", reason="a spare worker needs Linux")
@pytest.mark.scenario(7)
def test_windows_that_are_lost_to_a_hung_worker_say_so(tmp_path: Path) -> None:
    file = tmp_path / "earmark.toml"
    soundfile.write(tmp_path / "hiss.wav", noise(16000, -40), 16000)
    file.write_text(ALWAYS.format(path=tmp_path / "hiss.wav"))
    with Daemon("--config", str(file)) as daemon:
        daemon.until(lambda event: event["type"] == "result")
        with urllib.request.urlopen(f"http://{daemon.address}/info", timeout=DEADLINE) as answer:
            worker = json.load(answer)["worker"]["pid"]
        os.kill(worker, signal.SIGSTOP)
        daemon.logged("unresponsive: the model process has sent nothing for 1.5 s")
        daemon.logged("it is started again at once")
        daemon.until(lambda event: event["type"] == "result")
        assert daemon.end() == 0
    losses = [event for event in daemon.events if event["type"] == "loss"]
    assert losses
    assert {loss["cause"] for loss in losses} - {"overload"} == {"worker"}  # a busy machine loses others


def test_a_run_over_a_recording_ends_with_an_error_when_its_model_cannot_be_loaded_again(tmp_path: Path) -> None:
    model = shutil.copytree(reader.embedded()["earmark/commands"], tmp_path / "model")
    file = tmp_path / "earmark.toml"
    soundfile.write(tmp_path / "hiss.wav", noise(16000, -40), 16000)
    source = ALWAYS.format(path=tmp_path / "hiss.wav").replace("loop", "fast = true\nloop")
    file.write_text(f'{source}model = "a/model"\n\n[[model]]\nname = "a/model"\npath = "{model}"\n')
    with Daemon("--config", str(file), "--once") as daemon:
        daemon.until(lambda event: event["type"] == "result")
        with urllib.request.urlopen(f"http://{daemon.address}/info", timeout=DEADLINE) as answer:
            worker = json.load(answer)["worker"]["pid"]
        shutil.rmtree(model)
        os.kill(worker, signal.SIGKILL)
        daemon.logged("earmarkd: the model process does not serve: a/model")
        assert daemon.process.wait(DEADLINE) == 1


ALWAYS = """
[[source]]
kind = "file"
name = "hiss"
path = "{path}"
loop = true

[[classifier]]
name = "commands"
gate = "open"
mode = "sliding"
hop = 0.25
"""


@pytest.mark.scenario(13)
@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--config", "/nowhere/earmark.toml"], 2, "/nowhere/earmark.toml: no such file"),
        (["--config", "WRONG"], 2, "wrong.toml, line 2: server.lissen: no such setting; did you mean listen?"),
        (
            ["--check", "--config", "WRONG"],
            2,
            "wrong.toml, line 2: server.lissen: no such setting; did you mean listen?",
        ),
        (
            ["--config", "TYPE"],
            2,
            "type.toml, line 4: source[0].rate: 'fast' is not a sample rate (Hz, 1000 to 768000)",
        ),
        (["--check", "--config", "TWICE"], 2, 'source: 2 are named "desk"; names must differ'),
        (["--file", "/nowhere/talk.wav"], 1, "/nowhere/talk.wav"),
        (["--file", "GARBAGE"], 1, "garbage.wav"),
        (["--file", "RAW"], 1, "raw PCM names no rate; convert it to WAV"),
        (["--listen", "BUSY"], 1, "is taken, perhaps by another earmarkd"),
        (["--listen", "nonsense"], 2, "server.listen: 'nonsense' is not HOST:PORT"),
        (["--listen", "0.0.0.0:0"], 1, "server.insecure = true"),
        (["--config", "NOMODEL"], 1, "is not a folder; a checkpoint is one"),
        (["--config", "UNKNOWN"], 2, 'there is no model "earmark/comands"; did you mean earmark/commands?'),
        (["--demo", "--events", "/nowhere/events"], 1, "--events: /nowhere/events cannot be written"),
        (["--fast"], 2, "--fast goes with --file"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(arguments: list[str], code: int, sentence: str, tmp_path: Path) -> None:
    files = {
        "WRONG": '[server]\nlissen = "a"\n',
        "TYPE": '[[source]]\nkind = "microphone"\nname = "desk"\nrate = "fast"\n',
        "TWICE": '[[source]]\nkind = "network"\nname = "desk"\n' * 2,
        "GARBAGE": "this is not sound",
        "RAW": "neither is this",
        "NOMODEL": '[[model]]\nname = "a/b"\npath = "/nowhere/model"\n[[classifier]]\nname = "c"\nmodel = "a/b"\n',
        "UNKNOWN": '[[classifier]]\nname = "c"\nmodel = "earmark/comands"\n',
    }
    endings = {"GARBAGE": "wav", "RAW": "raw"}
    with socket.create_server(("127.0.0.1", 0)) as busy:
        arguments = [item.replace("BUSY", f"127.0.0.1:{busy.getsockname()[1]}") for item in arguments]
        for name, text in files.items():
            path = tmp_path / f"{name.lower()}.{endings.get(name, 'toml')}"
            path.write_text(text)
            arguments = [str(path) if item == name else item for item in arguments]
        done = earmarkd(*arguments)

    said = [line for line in done.stderr.splitlines() if line.startswith("earmarkd: ")]
    assert done.returncode == code, done.stderr
    assert len(said) == 1
    assert sentence in said[0]
    assert "Traceback" not in done.stderr


def test_check_says_what_would_run_and_runs_nothing() -> None:
    done = earmarkd("--check", "--config", str(ROOT / "config" / "earmark.toml"))

    assert done.returncode == 0, done.stderr
    assert "classifier commands: earmark/commands, 15 labels, speech gate, utterance, hears microphone" in done.stdout


@pytest.mark.scenario(13)
def test_check_tells_each_error_and_warning_in_a_line_and_asks_torch_for_the_device(tmp_path: Path) -> None:
    file = tmp_path / "earmark.toml"
    file.write_text("""
        worker.device = "cuda:99"
        [[classifier]]
        name = "c"
        hop = 0.5
        [classifier.decide]
        ignore = ["Stop"]
    """)
    done = earmarkd("--check", "--config", str(file), "--demo")

    assert done.returncode == 2
    said = done.stderr.splitlines()
    assert [line.partition(": ")[0] for line in said] == ["earmarkd"] * 3
    assert [line.split(": ")[1] for line in said] == ["warning", "classifier[0].decide.ignore", "worker.device"]


def test_help_shows_examples_and_version_is_one_line() -> None:
    assert "examples:" in earmarkd("--help").stdout
    assert earmarkd("--version").stdout.startswith("earmarkd ")
