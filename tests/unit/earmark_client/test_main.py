from __future__ import annotations

import pytest

from earmark_client.__main__ import main


def test_without_a_command_the_help_tells_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "earmark watch" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("wacth", "there is no command 'wacth'; did you mean watch?"),
        ("xyzzy", "there is no command 'xyzzy'; `earmark --help` lists them"),
    ],
)
def test_a_command_that_does_not_exist_is_answered_with_the_one_that_may_be_meant(
    capsys: pytest.CaptureFixture[str], word: str, told: str
) -> None:
    with pytest.raises(SystemExit) as end:
        main([word])
    assert end.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1] == f"earmark: error: {told}"


def test_other_mistakes_are_told_as_argparse_tells_them(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["watch", "--token"])
    assert capsys.readouterr().err.endswith("earmark watch: error: argument --token: expected one argument\n")
