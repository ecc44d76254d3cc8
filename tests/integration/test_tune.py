"""`earmark tune` and `earmark explain` on the bundled recording."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon import DEADLINE, Daemon, environment
from tests.signals import DEMO, demo_parts


def earmark(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "earmark_client", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=2 * DEADLINE, env=environment())


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon that has heard the demo with the commands."""
    file = tmp_path_factory.mktemp("settings") / "earmark.toml"
    file.write_text('journal = false\n[[classifier]]\nname = "commands"\n')
    with Daemon("--config", str(file), "--file", str(DEMO / "demo.flac"), "--fast") as running:
        running.until(lambda event: event["type"] == "source" and event["state"] == "stopped")
        yield running


@pytest.mark.parametrize(
    ("said", "before", "after"),
    [("angry", ["1", "0", "0"], ["1", "0", "0"]), ("sad", ["0", "0", "1"], ["0", "0", "0"])],
    ids=["the table names what is there", "the table does not"],
)
def test_thresholds_are_chosen_by_a_table_and_drawn(
    said: str, before: list[str], after: list[str], tmp_path: Path
) -> None:
    truth, picture = tmp_path / "labels.csv", tmp_path / "plot.png"
    (angry,) = [part for part in demo_parts() if part.classifier == "emotion"]
    truth.write_text(f"start,end,label\n{angry.start},{angry.end},{said}\n")
    done = earmark(
        *("tune", str(DEMO / "demo.flac"), "--classifier", "emotion", "--truth", str(truth), "--plot", str(picture))
    )
    assert done.returncode == 0, done.stderr
    rows = {line.split()[0]: line.split() for line in done.stdout.splitlines() if "->" in line}
    assert rows["angry"][2:5] == before
    assert rows["angry"][7:10] == after
    assert "[classifier.decide.labels]" in done.stdout
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_what_is_wrong_with_the_arguments_is_said_before_anything_is_loaded(tmp_path: Path) -> None:
    recording = str(DEMO / "demo.flac")
    for arguments, sentence in (
        ([str(tmp_path / "none.wav")], "no such file"),
        ([recording, "--classifier", "emotio"], "there is no classifier 'emotio'"),
        ([recording, "--gate", "x"], "--gate: 'x' is no list of numbers"),
        ([recording, "--truth", str(tmp_path / "none.csv")], "no such file"),
    ):
        done = earmark("tune", *arguments)
        assert done.returncode != 0
        assert sentence in done.stderr


def test_a_label_and_a_result_are_explained(daemon: Daemon) -> None:
    label = next(event for event in daemon.events if event["type"] == "label")
    first = next(event for event in daemon.events if event["type"] == "result")
    by_id = earmark("explain", label["id"], "--url", daemon.address)
    by_number = earmark("explain", str(label["seq"]), "--url", daemon.address)
    of_result = earmark("explain", str(first["seq"]), "--url", daemon.address)
    assert by_id.returncode == 0, by_id.stderr
    assert by_id.stdout == by_number.stdout
    assert by_id.stdout.startswith(f"{label['label']} (commands) at ")
    assert "What came nearest to stopping it:" in by_id.stdout
    assert of_result.stdout.startswith("From ")
    missing = earmark("explain", "nobody-1", "--url", daemon.address)
    assert missing.returncode == 1
    assert "no label with this id is kept" in missing.stderr
    ahead = earmark("explain", "999999999", "--url", daemon.address)
    assert (ahead.returncode, ahead.stderr) == (1, "earmark: 999999999: there is no event with this number yet\n")
