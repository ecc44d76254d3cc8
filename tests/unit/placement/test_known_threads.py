"""What was measured is remembered."""

from __future__ import annotations

from pathlib import Path

import pytest

from earmark.placement.known_threads import MAX_KEPT, KnownThreads, key


def test_what_was_measured_is_known_to_the_next_run(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    known = KnownThreads(tmp_path / "state")
    assert known.get("a") == 0
    assert known.keep("a", 2)
    assert not known.keep("a", 2)
    known.write()
    assert KnownThreads(tmp_path / "state").get("a") == 2
    assert [file.name for file in (tmp_path / "state").iterdir()] == ["threads.json"]


def test_without_a_folder_that_can_be_written_it_is_known_for_this_run(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (None, tmp_path / "file", tmp_path / "none"):  # which is not made for this alone
        known = KnownThreads(folder)
        known.keep("a", 2)
        known.write()
        assert known.get("a") == 2
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("content", ["", "[]", '{"a": "2"}', '{"a": 0}', '{"a": 100000}'])
def test_a_damaged_file_tells_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / "threads.json").write_text(content)
    assert KnownThreads(tmp_path).get("a") == 0


def test_the_oldest_is_forgotten_where_there_are_too_many(tmp_path: Path) -> None:
    known = KnownThreads()
    for number in range(MAX_KEPT + 1):
        known.keep(str(number), 1)
    assert (known.get("0"), known.get("1")) == (0, 1)


def test_a_measurement_holds_for_the_same_file_engine_and_machine_alone(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(b"1")
    first = key("CPU", 2, "onnxruntime 1", "fp32", [file])
    assert first.startswith("CPU, 2 cores, onnxruntime 1, fp32, model ")
    assert first == key("CPU", 2, "onnxruntime 1", "fp32", [file])
    file.write_bytes(b"22")
    assert first != key("CPU", 2, "onnxruntime 1", "fp32", [file])
