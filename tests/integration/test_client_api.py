"""Client and AsyncClient against a server of a few lines: the same methods, requests and answers."""

from __future__ import annotations

import asyncio
import inspect
import io
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from earmark.errors import ServerError, SubscriptionError
from earmark.protocol.events import Score
from earmark_client import AsyncClient, Change, Client, Refused
from tests.fakedaemon import FakeDaemon, Reply

SCORES = [{"score": 0.97, "label": "stop"}, {"score": 0.02, "label": "go"}]
EMOTION = {
    "name": "emotion",
    "model": "earmark/emotion",
    "labels": ["happy", "calm"],
    "thresholds": {"happy": 0.7, "calm": 0.8},
    "decide": {"on": 0.8, "labels": {"happy": 0.7}},
    "vad": {"threshold": 0.5},
    "groups": {"calm": ["calm", "neutral"]},
    "verify": {"model": "acme/other", "sure": 0.9},
    "new in a later version": [1],
}
CHANGE: dict[str, Any] = {"key": "classifier[emotion].decide.on", "before": 0.8, "after": 0.7}
SOURCE = {"name": "desk", "state": "listening", "rate": 16000, "paused": False, "settings": {"kind": "microphone"}}


def reply(path: str, body: bytes) -> Reply:
    match path.partition("?")[0]:
        case "/v1/sources":
            return 200, [SOURCE]
        case "/v1/sources/desk%2Fleft":
            return 200, SOURCE | json.loads(body) | {"changed": [], "restart": []}
        case "/v1/classifiers":
            return 200, [EMOTION]
        case "/v1/classifiers/emotion":
            return 200, EMOTION | {"changed": [CHANGE], "restart": ["worker.device"], "toml": "[[classifier]]"}
        case "/v1/reload":
            return 200, {"changed": [CHANGE], "restart": []}
        case "/v1/models":
            return 200, [{"id": "earmark/commands", "default": True}]
        case "/info":
            return 200, {"version": "1.0.0"}
        case "/ready":
            return 503, {"ready": False, "listening": False, "clips": True, "missing": {"listening": {"model": "x"}}}
        case "/models/acme/words" | "/":
            return 200, SCORES
        case _:
            return 404, {"error": f"classifier: {path} is not known"}


@pytest.fixture
def daemon() -> Iterator[FakeDaemon]:
    with FakeDaemon(reply) as daemon:
        yield daemon


def asks(daemon: FakeDaemon, method: str, *given: Any, **named: Any) -> Any:
    """Ask with both faces, and return their answer, which is the same, as are their requests."""
    begin = len(daemon.asked)
    answer = getattr(Client(daemon.host, token="t"), method)(*given, **named)
    count = len(daemon.asked)
    again = asyncio.run(getattr(AsyncClient(daemon.host, token="t"), method)(*given, **named))
    assert again == answer
    first, second = daemon.asked[begin:count], daemon.asked[count:]
    assert [(path, body) for path, _, body in first] == [(path, body) for path, _, body in second]
    assert {headers["Authorization"] for _, headers, _ in daemon.asked} == {"Bearer t"}
    return answer


def test_both_have_the_same_methods_with_the_same_parameters() -> None:
    names = [name for name in vars(Client) if not name.startswith("_")]
    assert sorted(names) == sorted(name for name in vars(AsyncClient) if not name.startswith("_"))
    for name in names:
        ours, theirs = inspect.signature(getattr(Client, name)), inspect.signature(getattr(AsyncClient, name))
        assert (name, ours.parameters) == (name, theirs.parameters)


def test_classifiers_are_typed_and_what_a_newer_daemon_adds_is_ignored(daemon: FakeDaemon) -> None:
    (emotion,) = asks(daemon, "classifiers")
    assert (emotion.groups, emotion.verify) == ({"calm": ("calm", "neutral")}, {"model": "acme/other", "sure": 0.9})
    assert (emotion.name, emotion.thresholds, emotion.decide["on"]) == ("emotion", {"happy": 0.7, "calm": 0.8}, 0.8)


def test_a_classifier_is_changed_by_what_is_given_alone(daemon: FakeDaemon) -> None:
    changed = asks(daemon, "patch_classifier", "emotion", decide={"on": 0.7, "labels": {"happy": None}})
    assert (changed.changed, changed.restart) == ((Change(**CHANGE),), ("worker.device",))
    assert (changed.toml, changed.decide["labels"]) == ("[[classifier]]", {"happy": 0.7})
    assert daemon.methods == ["PATCH", "PATCH"]
    _, headers, body = daemon.asked[0]
    assert json.loads(body) == {"decide": {"on": 0.7, "labels": {"happy": None}}}
    assert headers["Content-Type"] == "application/json"


def test_a_source_is_paused(daemon: FakeDaemon) -> None:
    (source,) = asks(daemon, "sources")
    assert (source.paused, source.settings) == (False, {"kind": "microphone"})
    assert asks(daemon, "patch_source", "desk/left", paused=True).paused is True


def test_a_reload_is_posted(daemon: FakeDaemon) -> None:
    assert asks(daemon, "reload").changed[0].key == "classifier[emotion].decide.on"
    assert daemon.methods[0] == "POST"


def test_what_a_daemon_tells_about_itself(daemon: FakeDaemon) -> None:
    assert asks(daemon, "info") == {"version": "1.0.0"}
    assert [model.id for model in asks(daemon, "models")] == ["earmark/commands"]
    ready = asks(daemon, "ready")
    assert (ready.ready, ready.missing) == (False, {"listening": {"model": "x"}})


def test_a_refusal_has_the_daemons_sentence_and_the_status(daemon: FakeDaemon) -> None:
    with pytest.raises(Refused, match="is not known") as refused:
        asks(daemon, "patch_classifier", "motion", vad={"threshold": 0.4})
    assert refused.value.status == 404


def test_a_clip_may_be_a_path_bytes_or_a_file(daemon: FakeDaemon, tmp_path: Path) -> None:
    clip = tmp_path / "clip.wav"
    clip.write_bytes(b"RIFF")
    for given in (clip, str(clip), b"RIFF", bytearray(b"RIFF"), memoryview(b"RIFF")):
        assert asks(daemon, "classify", given) == [Score(0.97, "stop"), Score(0.02, "go")]
    assert Client(daemon.host, token="t").classify(io.BytesIO(b"RIFF"), model="acme/words", top_k=2, function="none")
    assert {body for _, _, body in daemon.asked} == {b"RIFF"}
    assert daemon.asked[-1][0] == "/models/acme/words?top_k=2&function_to_apply=none"


def test_labels_that_a_model_shall_tell_apart_are_a_text_or_a_collection(daemon: FakeDaemon) -> None:
    for given in ("rain, a dog", ["rain", "a dog"], ("rain", "a dog")):
        assert asks(daemon, "classify", b"RIFF", labels=given, template="I hear {}")
    paths = {path for path, _, _ in daemon.asked}
    assert paths == {"/?candidate_labels=rain%2Ca+dog&hypothesis_template=I+hear+%7B%7D"}


def test_more_labels_than_an_address_should_hold_go_into_the_body(daemon: FakeDaemon) -> None:
    labels = [f"label {number} {'x' * 80}" for number in range(60)]
    assert asks(daemon, "classify", b"RIFF", labels=labels)
    path, headers, body = daemon.asked[-1]
    assert (path, headers["content-type"], json.loads(body)["parameters"]) == (
        "/",
        "application/json",
        {"candidate_labels": labels},
    )


def test_a_clip_from_a_pipe_is_read_whole(daemon: FakeDaemon, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(b"RIFF",))
    writer.start()
    assert Client(daemon.host).classify(tmp_path / "pipe")[0].label == "stop"
    writer.join()


def test_a_clip_that_is_not_there_is_told(daemon: FakeDaemon) -> None:
    with pytest.raises(ServerError, match="cannot be read: No such file or directory"):
        asks(daemon, "classify", "absent.wav")


def test_where_nothing_listens_it_says_so() -> None:
    with FakeDaemon(reply) as daemon:
        client = Client(daemon.host)
    with pytest.raises(ServerError, match="nothing listens"):
        client.sources()


def test_an_answer_of_another_kind_is_told() -> None:
    with FakeDaemon(lambda path, body: (200, {"name": 1})) as daemon:
        with pytest.raises(ServerError, match="the answer of /v1/sources is not of the kind"):
            Client(daemon.host).sources()
    with FakeDaemon(lambda path, body: (200, b"<html>")) as daemon:
        with pytest.raises(ServerError, match="is not JSON"):
            Client(daemon.host).info()


def test_a_wrong_address_is_refused_at_once_and_a_right_one_is_shown() -> None:
    with pytest.raises(SubscriptionError, match="is not an address"):
        Client("h:x")
    assert repr(Client("kiosk")) == "Client('kiosk:8765')"
    assert repr(AsyncClient("https://h/earmark")) == "AsyncClient('h:443/earmark')"


def test_requests_work_inside_a_running_loop(daemon: FakeDaemon) -> None:
    """As in a notebook, which runs its cells on a loop."""

    async def cell() -> list[Score]:
        return Client(daemon.host).classify(b"RIFF")

    assert asyncio.run(cell())[0].label == "stop"
