"""`earmark classify` and `earmark models` against a server of a few lines, and the daemon's answers as it may give."""

from __future__ import annotations

import base64
import json
import os
import pty
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from earmark.errors import ServerError
from earmark.protocol.events import Score
from earmark_client import models
from earmark_client.address import address
from earmark_client.answers import Model
from earmark_client.calls import MAX_WAIT, pause_wanted
from earmark_client.classify import Query, classify, row
from earmark_client.request import Response
from tests.daemon import DEADLINE, environment
from tests.fakedaemon import FakeDaemon, Reply
from tests.ports import free_port

COMMAND = [sys.executable, "-W", "error", "-m", "earmark_client"]
SCORES = [{"score": 0.97, "label": "stop"}, {"score": 0.02, "label": "go"}, {"score": 0.01, "label": "no"}]
MODELS = [
    {
        "id": "earmark/commands",
        "aliases": ["commands"],
        "default": True,
        "origin": "embedded",
        "revision": None,
        "licence": "apache-2.0",
        "labels": ["yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go"],
        "rate": 16000,
        "bytes": 3_400_000,
        "state": "loaded",
        "why": None,
    },
    {
        "id": "acme/emotion",
        "aliases": [],
        "default": False,
        "origin": "hub",
        "revision": "0123456789abcdef0123456789abcdef01234567",
        "licence": "",
        "labels": ["angry", "calm"],
        "rate": 16000,
        "bytes": 1_262_000_000,
        "state": "refused",
        "why": "acme/emotion: the checkpoint does not hold the weights classifier.bias",
    },
]


def by_content(path: str, body: bytes) -> Reply:
    """Scores for what begins with "RIFF", else what the daemon says about bytes that are not audio."""
    return (200, SCORES) if body.startswith(b"RIFF") else (400, {"error": "Malformed soundfile"})


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    file = tmp_path / "clip.wav"
    file.write_bytes(b"RIFF" + b"x" * 1000)
    return file


@pytest.fixture
def daemon() -> Iterator[FakeDaemon]:
    with FakeDaemon(by_content) as daemon:
        yield daemon


def earmark(*arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
    outer = {name: value for name, value in environment().items() if name != "EARMARK_TOKEN"}
    return subprocess.run([*COMMAND, *arguments], env=outer | extra, capture_output=True, text=True, timeout=DEADLINE)


def test_a_row_has_the_file_its_best_label_its_score_and_the_others(daemon: FakeDaemon, clip: Path) -> None:
    done = earmark("classify", str(clip), "--url", daemon.host)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == [str(clip), "stop", "0.97", "go", "0.02,", "no", "0.01"]


def test_json_has_a_line_for_each_file_and_an_error_stops_nothing(
    daemon: FakeDaemon, clip: Path, tmp_path: Path
) -> None:
    (tmp_path / "text.wav").write_text("hello")
    files = [str(tmp_path / name) for name in ("absent.wav", "text.wav", "clip.wav")]
    done = earmark("classify", *files, "--url", daemon.host, "--json")
    assert (done.returncode, done.stderr) == (1, "")
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {"file": files[0], "error": "cannot be read: No such file or directory"},
        {"file": files[1], "error": "Malformed soundfile"},
        {"file": files[2], "result": SCORES},
    ]


def test_a_clip_may_come_from_standard_input_or_a_pipe_and_is_sent_again_while_the_daemon_is_busy(
    tmp_path: Path, clip: Path
) -> None:
    bodies: list[bytes] = []

    def busy_once(path: str, body: bytes) -> Reply:
        bodies.append(body)
        return (200, SCORES) if len(bodies) % 2 == 0 else (503, {"error": "loading", "estimated_time": 0.1})

    os.mkfifo(tmp_path / "pipe")
    with FakeDaemon(busy_once) as daemon:
        for name in ("-", str(tmp_path / "pipe")):
            writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes(clip.read_bytes()))
            command = [*COMMAND, "classify", name, "--url", daemon.host, "--json"]
            if name != "-":
                writer.start()
            given = {"stdin": subprocess.DEVNULL} if name != "-" else {"input": clip.read_bytes()}
            done = subprocess.run(command, env=environment(), capture_output=True, timeout=DEADLINE, **given)
            if name != "-":
                writer.join()
            assert json.loads(done.stdout) == {"file": name, "result": SCORES}
    assert bodies == [clip.read_bytes()] * 4


@pytest.mark.parametrize(("arguments", "shown"), [([], b"gr\\xf6\\xdfe"), (["--json"], b"gr\\u00f6\\u00dfe")])
def test_a_label_that_the_terminal_cannot_show_is_escaped(arguments: list[str], shown: bytes, clip: Path) -> None:
    with FakeDaemon(lambda path, body: (200, [{"score": 0.9, "label": "größe"}])) as daemon:
        command = [*COMMAND, "classify", str(clip), "--url", daemon.host, *arguments]
        ascii_only = environment() | {"PYTHONIOENCODING": "ascii"}
        done = subprocess.run(command, env=ascii_only, capture_output=True, timeout=DEADLINE)
    assert done.returncode == 0, done.stderr
    assert shown in done.stdout


def test_in_the_table_errors_go_to_standard_error(daemon: FakeDaemon, clip: Path, tmp_path: Path) -> None:
    done = earmark("classify", str(tmp_path), str(clip), "--url", daemon.host)
    assert done.returncode == 1
    assert done.stderr == f"earmark: {tmp_path}: cannot be read: Is a directory\n"
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        ([], "/?top_k=5"),
        (["--json"], "/"),
        (["--model", "acme/emotion", "--json"], "/models/acme/emotion"),
        (["--model", "my model?", "--top-k", "0"], "/models/my%20model%3F?top_k=0"),
        (["--function", "sigmoid", "--top-k", "3"], "/?top_k=3&function_to_apply=sigmoid"),
    ],
)
def test_the_request_is_that_of_the_inference_api(
    daemon: FakeDaemon, clip: Path, arguments: list[str], path: str
) -> None:
    assert earmark("classify", str(clip), "--url", f"http://{daemon.host}/", *arguments).returncode == 0
    ((asked, headers, body),) = daemon.asked
    assert (asked, body) == (path, clip.read_bytes())
    assert headers["x-wait-for-model"] == "true"
    assert headers["authorization"] is None


@pytest.mark.parametrize(
    ("given", "path"),
    [
        (["--labels", "a dog barking, rain"], "/?candidate_labels=a+dog+barking%2Crain"),
        (["--labels", "a,b", "--template", "I hear {}"], "/?candidate_labels=a%2Cb&hypothesis_template=I+hear+%7B%7D"),
    ],
)
def test_labels_between_commas_go_into_the_query(daemon: FakeDaemon, clip: Path, given: list[str], path: str) -> None:
    assert earmark("classify", str(clip), "--url", daemon.host, "--json", *given).returncode == 0
    ((asked, _, body),) = daemon.asked
    assert (asked, body) == (path, clip.read_bytes())


def test_a_label_with_a_comma_goes_into_a_body_of_json_with_the_clip(clip: Path) -> None:
    with FakeDaemon(lambda path, body: (200, SCORES)) as daemon:
        given = ["--labels", '"a siren, far away",rain', "--top-k", "2"]
        assert earmark("classify", str(clip), "--url", daemon.host, *given).returncode == 0
        ((asked, headers, body),) = daemon.asked
    assert (asked, headers["content-type"]) == ("/", "application/json")
    assert json.loads(body) == {
        "inputs": base64.b64encode(clip.read_bytes()).decode(),
        "parameters": {"top_k": 2, "candidate_labels": ["a siren, far away", "rain"]},
    }


def test_labels_that_are_none_are_refused_before_anything_is_asked(daemon: FakeDaemon, clip: Path) -> None:
    for given, sentence in (
        (" , ", "--labels: there are none"),
        ('"a', "--labels: a name between double quotes must end with one"),
    ):
        done = earmark("classify", str(clip), "--url", daemon.host, "--labels", given)
        assert (done.returncode, done.stdout, sentence in done.stderr) == (1, "", True), done.stderr
    assert daemon.asked == []


@pytest.mark.parametrize(
    ("answered", "given", "told"),
    [
        (
            "`candidate_labels` is missing: acme/clap has no labels of its own, and takes them from `parameters`",
            ["--model", "acme/clap"],
            'the model has no labels of its own; say what to tell apart, as in --labels "a dog barking,rain"',
        ),
        (
            "`candidate_labels`: acme/words has labels of its own, and takes no others",
            ["--model", "acme/words", "--labels", "a,b"],
            "--labels: acme/words has labels of its own, and takes no others",
        ),
        (
            "`candidate_labels`: acme/words has labels of its own, and takes no others",
            ["--labels", "a,b"],
            "--labels: acme/words has labels of its own, and takes no others;"
            " --model chooses one that takes them, and `earmark models` lists those",
        ),
        (
            "Invalid value for `hypothesis_template`: it has no {}",
            ["--labels", "a,b", "--template", "x"],
            "Invalid value for --template: it has no {}",
        ),
    ],
)
def test_a_refusal_names_the_options_of_the_command(clip: Path, answered: str, given: list[str], told: str) -> None:
    with FakeDaemon(lambda path, body: (400, {"error": answered})) as daemon:
        done = earmark("classify", str(clip), "--url", daemon.host, *given)
    assert (done.returncode, done.stderr) == (1, f"earmark: {clip}: {told}\n")


def test_the_token_comes_from_the_environment_or_the_command_line(daemon: FakeDaemon, clip: Path) -> None:
    earmark("classify", str(clip), "--url", daemon.host, EARMARK_TOKEN="one")
    earmark("classify", str(clip), "--url", daemon.host, "--token", "two", EARMARK_TOKEN="one")
    assert [headers["authorization"] for _, headers, _ in daemon.asked] == ["Bearer one", "Bearer two"]


def test_without_the_token_it_says_where_to_put_it(clip: Path) -> None:
    with FakeDaemon(lambda path, body: (401, {"error": "Invalid credentials in Authorization header"})) as daemon:
        done = earmark("classify", str(clip), "--url", daemon.host)
    sentence = "Invalid credentials in Authorization header; give --token, or set EARMARK_TOKEN"
    assert (done.returncode, done.stderr) == (1, f"earmark: {clip}: {sentence}\n")


def test_where_nothing_listens_the_first_file_is_enough_to_know(clip: Path) -> None:
    port = free_port()
    done = earmark("classify", str(clip), str(clip), "--url", f"127.0.0.1:{port}", "--json")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"earmark: nothing listens on 127.0.0.1:{port}: is earmarkd running?\n"


def test_a_loading_model_is_waited_for_as_long_as_the_daemon_says(clip: Path) -> None:
    loading = {"error": "Model ID is currently loading", "estimated_time": 20.0}
    replies: list[Reply] = [(503, loading), (503, {"error": "busy"}, {"Retry-After": "2"}), (429, b""), (200, SCORES)]
    pauses: list[float] = []
    with FakeDaemon(lambda path, body: replies.pop(0)) as daemon:
        found = classify(Query(address(daemon.host)), clip, pause=pauses.append)
        assert [body for _, _, body in daemon.asked] == [clip.read_bytes()] * 4
    assert pauses == [20.0, 2.0, 1.0]
    assert found[0] == Score(0.97, "stop")


def test_patience_has_an_end(clip: Path) -> None:
    pauses: list[float] = []
    with (
        FakeDaemon(
            lambda path, body: (503, {"error": "Model ID is currently loading"}, {"Retry-After": "25"})
        ) as daemon,
        pytest.raises(ServerError, match=r"^Model ID is currently loading; waited 300 s for it$"),
    ):
        classify(Query(address(daemon.host)), clip, pause=pauses.append)
    assert sum(pauses) == MAX_WAIT


@pytest.mark.parametrize(
    ("header", "body", "seconds"),
    [
        ("7", {"estimated_time": 3}, 7.0),
        (None, {"estimated_time": 3.5}, 3.5),
        (None, {"estimated_time": 9999}, 30.0),
        (None, {"estimated_time": -1}, 1.0),
        (None, {"estimated_time": "soon"}, 1.0),
        ("nan", {}, 1.0),
        ("Wed, 21 Oct 2026 07:28:00 GMT", {}, 1.0),
        (None, [], 1.0),
    ],
)
def test_the_pause_is_within_limits_whatever_the_daemon_says(header: str | None, body: object, seconds: float) -> None:
    headers = {} if header is None else {"retry-after": header}
    assert pause_wanted(Response(503, headers, json.dumps(body).encode())) == seconds


def test_an_answer_before_the_body_is_read_is_still_heard(tmp_path: Path) -> None:
    large = tmp_path / "large.wav"
    large.write_bytes(bytes(20_000_000))

    def refuse(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(1000)
            body = b'{"error":"too large"}'
            connection.sendall(
                b"HTTP/1.1 413 No\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
            )
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(1 << 20):
                pass

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=refuse, args=(server,))
        thread.start()
        with pytest.raises(ServerError, match=r"^too large$"):
            classify(Query(address(f"127.0.0.1:{server.getsockname()[1]}")), large)
        thread.join()


@pytest.mark.parametrize("content", [b"", b"<html>", b"{}", b'[{"label":"stop"}]'])
def test_an_answer_that_is_none_is_told(clip: Path, content: bytes) -> None:
    with (
        FakeDaemon(lambda path, body: (200, content)) as daemon,
        pytest.raises(ServerError, match="is it earmarkd"),
    ):
        classify(Query(address(daemon.host)), clip)


def test_on_a_terminal_progress_stands_below_the_rows_and_the_others_are_dim(daemon: FakeDaemon, clip: Path) -> None:
    ours, theirs = pty.openpty()
    plain = {name: value for name, value in environment().items() if name != "NO_COLOR"} | {"TERM": "xterm"}
    arguments = ["classify", str(clip), str(clip), "--url", daemon.host]
    process = subprocess.Popen([*COMMAND, *arguments], env=plain, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 1 << 16):
            shown += part
    except OSError:  # how Linux tells the end of a pseudo-terminal
        pass
    os.close(ours)
    assert process.wait(DEADLINE) == 0
    assert b"\r\x1b[K1/2  " in shown
    assert b"\r\x1b[K2/2  " in shown
    assert shown.count(b"0.97  \x1b[2mgo 0.02, no 0.01\x1b[0m\r\n") == 2
    assert shown.endswith(b"\r\x1b[K")


def test_what_a_terminal_would_obey_is_not_printed() -> None:
    assert row("a\x1b[2J", [Score(0.5, "\x1b]0;x\x07")], 8, False).isprintable()
    assert row("a", [], 3, False) == "a    nothing"


def test_models_are_a_table_with_the_reason_below_a_refused_one() -> None:
    with FakeDaemon(lambda path, body: (200, MODELS)) as daemon:
        done = earmark("models", daemon.host)
        assert daemon.asked[0][0] == "/v1/models"
    assert (done.returncode, done.stderr) == (0, "")
    head, first, second, why = done.stdout.splitlines()
    assert head.split() == ["model", "state", "labels", "function", "rate", "size", "licence", "from"]
    start = ["*", "earmark/commands", "(commands)", "loaded", "10:", "yes", "no", "up", "down", "left", "right"]
    assert first.split()[: len(start)] == start
    assert first.split()[-6:] == ["16000", "Hz", "3.4", "MB", "apache-2.0", "embedded"]
    assert second.split()[-5:] == ["1.3", "GB", "unknown", "hub", "0123456789ab"]
    assert why.strip() == MODELS[1]["why"]


def test_models_json_is_the_daemons_own_list_and_the_token_is_shown() -> None:
    with FakeDaemon(lambda path, body: (200, MODELS)) as daemon:
        done = earmark("models", daemon.host, "--json", EARMARK_TOKEN="secret")
        assert daemon.asked[0][1]["authorization"] == "Bearer secret"
    assert json.loads(done.stdout) == MODELS


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        ((404, {"error": "there is no /v1/models"}), "does not list its models: there is no /v1/models"),
        ((200, {"models": []}), "answers /v1/models with something that is no list of models"),
        ((500, b"oops"), "does not list its models: status 500"),
    ],
)
def test_a_daemon_without_a_list_is_told(reply: Any, sentence: str) -> None:
    with FakeDaemon(lambda path, body: reply) as daemon:
        done = earmark("models", daemon.host)
    assert (done.returncode, done.stderr) == (1, f"earmark: {daemon.host} {sentence}\n")


def test_what_a_daemon_leaves_out_is_left_out_and_new_fields_do_not_matter() -> None:
    with FakeDaemon(lambda path, body: (200, [{"id": "a", "colour": "red"}])) as daemon:
        assert earmark("models", daemon.host).stdout.splitlines()[1].split() == ["a", "0:", "unknown"]


def test_a_licence_that_forbids_commercial_use_says_so_in_the_table() -> None:
    table = models.table([Model(id="a", licence="cc-by-nc-4.0"), Model(id="b", licence="mit")])
    assert [line.split("0:")[1].strip() for line in table.splitlines()[1:]] == ["cc-by-nc-4.0 (non-commercial)", "mit"]


def test_many_labels_are_counted_and_begun() -> None:
    many = Model(id="a", labels=tuple(f"speaker {number}" for number in range(1251)))
    assert "1251: speaker 0 speaker 1 speaker 2 ..." in models.table([many])


@pytest.mark.parametrize("command", ["classify", "models", "pull"])
def test_help_has_examples(command: str) -> None:
    assert "examples:\n  earmark" in earmark(command, "--help").stdout
