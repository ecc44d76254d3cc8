from __future__ import annotations

import io

import pytest

from earmark_client.request import ForPrograms, complain


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_complaint_steers_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    complain("new labels: \x1b[2J\x9b\nsecond")
    assert capsys.readouterr().err == "earmark: new labels: ?[2J?\nearmark: second\n"


@pytest.mark.parametrize(("out", "shown"), [(_Terminal(), '"\\u009b"'), (io.StringIO(), '"\x9b"')])
def test_what_programs_read_is_escaped_on_a_terminal_alone(out: io.StringIO, shown: str) -> None:
    print('"\x9b"', file=ForPrograms(out), flush=True)
    assert out.getvalue() == f"{shown}\n"
