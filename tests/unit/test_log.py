from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from earmark import log


@pytest.fixture
def _logging_as_before() -> Iterator[None]:
    root, own = logging.getLogger(), logging.getLogger("earmark")
    before = root.handlers[:], root.level, own.level
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    own.setLevel(before[2])


@pytest.mark.usefixtures("_logging_as_before")
@pytest.mark.parametrize("journal", [False, True])
def test_a_name_in_a_record_cannot_steer_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, journal: bool
) -> None:
    if journal:
        monkeypatch.setenv("JOURNAL_STREAM", "8:1")
    else:
        monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    log.set_up()

    logging.getLogger("earmark.test").warning("%s is lost", "\x1b]0;owned\x07USB\x9bm")

    assert capsys.readouterr().err.rstrip("\n").endswith("?]0;owned?USB?m is lost")


@pytest.mark.usefixtures("_logging_as_before")
def test_a_record_of_several_lines_stays_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    log.set_up()

    logging.getLogger("earmark.test").warning("one\ntwo")

    assert capsys.readouterr().err.endswith("one\ntwo\n")
