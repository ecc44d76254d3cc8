from __future__ import annotations

import pytest

from earmark.__main__ import main


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["earmark.toml"], "unrecognized arguments: earmark.toml; did you mean --config earmark.toml?"),
        (["--fast", "talk.flac"], "unrecognized arguments: talk.flac; did you mean --file talk.flac?"),
        (["--confi"], "argument --config: expected one argument"),
        (["--loud"], "unrecognized arguments: --loud"),
    ],
)
def test_a_file_without_an_option_is_told_which_one_it_needs(
    capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1] == f"earmarkd: error: {told}"
