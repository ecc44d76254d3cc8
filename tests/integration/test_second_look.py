"""Groups of labels and second looks in a real daemon. Its second models have the weights of the embedded one."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr

from earmark.checkpoints.reader import EMBEDDED
from tests.browser import Browser, missing
from tests.daemon import DEADLINE, Daemon, environment
from tests.posting import Client
from tests.signals import DEMO

RECORDING = DEMO / "demo.flac"
SETTINGS = """
journal = false
[[model]]
name = "second/commands"
path = "{embedded}"
[[model]]
name = "second/half"
path = "{half}"

[[classifier]]
name = "commands"
groups = {{ direction = {members} }}
[classifier.verify]
model = "second/commands"
sure = {sure}
labels = {{ stop = ["go"], direction = ["left", "right"] }}

[[classifier]]
name = "sliding"
gate = "open"
mode = "sliding"
hop = 0.5
[classifier.decide]
smooth = 1
hits = 1
[classifier.verify]
model = "second/half"
on = 0.2
"""
HALF_RATE = 8000

Event = dict[str, Any]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration with a second model that takes half the rate, and hears everything twice as fast."""
    folder = tmp_path_factory.mktemp("half")
    for name in ("config.json", "preprocessor_config.json", "model.safetensors", "model.onnx"):
        shutil.copy(EMBEDDED / "commands" / name, folder)
    extractor = folder / "preprocessor_config.json"
    extractor.write_text(json.dumps(json.loads(extractor.read_text()) | {"sampling_rate": HALF_RATE}))
    file = tmp_path_factory.mktemp("settings") / "earmark.toml"
    file.write_text(written(folder))
    return file


def written(half: Path, members: str = '["left", "right"]', sure: float = 1.0) -> str:
    return SETTINGS.format(embedded=EMBEDDED / "commands", half=half, members=members, sure=sure)


@pytest.fixture(scope="module")
def daemon(settings: Path) -> Iterator[Daemon]:
    """A daemon that has heard the demo, and said all that there is to say of it."""
    with Daemon("--config", str(settings), "--file", str(RECORDING), "--fast") as running:
        running.until(lambda event: event["type"] == "source" and event["state"] == "stopped")
        running.until_told()
        yield running


def of(events: list[Event], classifier: str, kind: str) -> list[Event]:
    return [event for event in events if (event["type"], event.get("classifier")) == (kind, classifier)]


def test_members_of_a_group_go_on_as_one_and_why_tells_which_spoke_and_who_confirmed(daemon: Daemon) -> None:
    labels = of(daemon.events, "commands", "label")
    assert {"yes", "direction", "go"} <= {each["label"] for each in labels}
    assert not {"left", "right", "stop"} & {each["label"] for each in labels}
    for each in labels:
        why = each["why"]
        assert why["second"]["model"] == "second/commands"
        assert why["second"]["score"] == pytest.approx(why["raw"], abs=0.01)  # the same weights
        assert why.get("member", {}).get("label") in (("left", "right") if each["label"] == "direction" else (None,))
    names = {score["label"] for each in of(daemon.events, "commands", "result") for score in each["result"]}
    assert "direction" in names
    assert not {"left", "right"} & names


def test_a_command_that_is_not_confirmed_is_suppressed_and_says_so(daemon: Daemon) -> None:
    refused = [each for each in of(daemon.events, "commands", "result") if "unconfirmed" in each]
    assert len(refused) == 2  # `stop` is said twice, and `go` would have to confirm it
    for each in refused:
        (label,) = each["unconfirmed"]
        assert (label["label"], label["threshold"], each["result"][0]["label"]) == ("stop", 0.5, "stop")
        assert each["suppressed"] == f"not confirmed by second/commands {label['score']:.2f}"
    explained = earmark("explain", str(refused[0]["seq"]), "--url", daemon.address)
    assert "stop would have gone on, but second/commands looked a second time" in explained.stdout, explained.stderr


def test_the_second_model_hears_the_same_window_at_its_own_rate(daemon: Daemon) -> None:
    samples, rate = soundfile.read(RECORDING, dtype="float32")
    looks: list[tuple[float, float, str, float]] = []
    for result, label in zip(daemon.events, daemon.events[1:], strict=False):
        place = (result.get("start", 0.0), result.get("end", 0.0))
        if result["type"] == "result" and result["classifier"] == "sliding":
            assert "suppressed" not in result
            looks += [(*place, each["label"], each["score"]) for each in result.get("unconfirmed", [])]
            if label.get("state") == "on" and "second" in label["why"]:
                looks.append((*place, label["label"], label["why"]["second"]["score"]))
    assert len(looks) >= 5
    client = Client(daemon.address)
    for start, end, label_name, score in looks[:5]:
        window = samples[round(start * rate) : round(end * rate)]
        answer = client.post(wave(soxr.resample(window, rate, HALF_RATE)), "/models/second/half").scores
        assert answer[label_name] == pytest.approx(score, abs=2e-3)


def wave(samples: np.ndarray[Any, np.dtype[np.float32]]) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, HALF_RATE, format="WAV", subtype="FLOAT")
    return file.getvalue()


def test_what_became_of_second_looks_is_counted(daemon: Daemon) -> None:
    looks = Client(daemon.address).get("/info").json["second_looks"]
    confirmed = [each for each in daemon.events if each.get("state") == "on" and "second" in each.get("why", {})]
    refused = [each for each in daemon.events if "unconfirmed" in each]
    assert looks["lost"] == 0
    assert looks["confirmed"] == len(confirmed) > 0
    assert looks["refused"] >= len([each for each in refused if each["classifier"] == "commands"])
    metrics = Client(daemon.address).get("/metrics").body.decode()
    assert f'earmark_second_looks_total{{outcome="confirmed"}} {looks["confirmed"]:.1f}' in metrics


def test_status_tells_groups_and_second_looks(daemon: Daemon) -> None:
    looks = Client(daemon.address).get("/info").json["second_looks"]
    shown = earmark("status", daemon.address).stdout.splitlines()
    told = dict(line.split("  ", 1) for line in map(str.strip, shown) if "  " in line)
    assert told["groups"].strip() == "direction (left, right)"
    assert told["second looks"].strip() == f"confirmed {looks['confirmed']}, refused {looks['refused']}"
    second = "by second/commands below 1.0, confirms from 0.5 on: stop by go, direction by left or right"
    assert [line.split(maxsplit=2)[2] for line in shown if line.startswith("  second look ")] == [
        second,
        "by second/half below 1.0, confirms from 0.2 on",
    ]
    commands, sliding = json.loads(earmark("status", daemon.address, "--json").stdout)["classifiers"]
    assert commands["groups"] == {"direction": ["left", "right"]}
    assert (sliding["verify"]["model"], "groups" in sliding) == ("second/half", False)


@pytest.mark.skipif(bool(missing()), reason=missing())
def test_the_page_says_beside_a_preview_that_it_makes_no_second_look(daemon: Daemon) -> None:
    with Browser() as page:
        page.do("open", url=f"http://{daemon.address}/")
        page.until("store.status.size === 2")
        page.do("click", on="[data-classifier=sliding] .tune")
        note = page.until("document.querySelector('.tuner .caution')?.innerText")
    assert note.startswith("Below a score of 1.00, a label needs a second look by second/half. The preview knows what ")


def test_a_recording_is_analyzed_as_it_is_heard(daemon: Daemon) -> None:
    reply = Client(daemon.address).post(RECORDING.read_bytes(), "/v1/analyze")
    assert reply.status == 200, reply.body
    offline = [json.loads(line) for line in reply.body.splitlines()]
    for classifier in ("commands", "sliding"):
        assert [decided(each) for each in of(daemon.events, classifier, "label")] == [
            decided(each) for each in of(offline, classifier, "label")
        ]
        assert [refusals(each) for each in of(daemon.events, classifier, "result")] == [
            refusals(each) for each in of(offline, classifier, "result")
        ]


def decided(label: Event) -> tuple[object, ...]:
    why = label.get("why", {})
    return label["label"], label["state"], round(label["start"], 1), why.get("member", {}).get("label"), "second" in why


def refusals(result: Event) -> tuple[object, ...]:
    return round(result["start"], 1), [each["label"] for each in result.get("unconfirmed", [])]


def test_other_thresholds_are_tried_with_the_second_looks_that_they_would_need(settings: Path) -> None:
    done = earmark("tune", str(RECORDING), "--config", str(settings), "--classifier", "commands")
    assert done.returncode == 0, done.stderr
    rows = {line.split()[0]: line.split() for line in done.stdout.splitlines() if " to " in line}
    assert rows["direction"][2] == "4"  # left and right, twice
    assert "stop" not in rows  # no threshold lets it through
    assert "suppressed: " in done.stdout
    assert "2 for no confirmation by second/commands" in done.stdout


def test_a_reload_changes_groups_and_one_that_fits_no_label_is_refused(daemon: Daemon, settings: Path) -> None:
    before = settings.read_text()
    half = next(Path(line.split('"')[1]) for line in before.splitlines() if line.startswith("path") and "half" in line)
    client = Client(daemon.address)
    settings.write_text(written(half, '["left", "rigth"]'))
    refused = client.post(b"{}", "/v1/reload", content_type="application/json")
    assert refused.status == 400
    assert 'classifier[0].groups.direction: earmark/commands has no label "rigth"; did you mean right?' in refused.error
    settings.write_text(written(half, '["left", "right", "up", "down"]', sure=0.9))
    assert client.post(b"{}", "/v1/reload", content_type="application/json").status == 200
    told = daemon.until(lambda event: event["type"] == "config")
    labels = next(each["labels"] for each in told["classifiers"] if each["name"] == "commands")
    assert "direction" in labels
    assert not {"left", "right", "up", "down"} & {*labels}
    settings.write_text(before)
    assert client.post(b"{}", "/v1/reload", content_type="application/json").status == 200


def earmark(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "earmark_client", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=2 * DEADLINE, env=environment())
