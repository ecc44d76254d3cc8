from __future__ import annotations

from pathlib import Path

import pytest

from earmark.access import token_file, token_lines
from earmark.access.tokens import SCOPES, Token
from earmark.errors import ConfigError
from earmark_client.__main__ import main


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tokens"


def test_a_new_token_is_printed_once_and_kept_as_a_hash(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["token", "new", "page", "--scope", "subscribe,admin", "--file", str(file)]) == 0
    out, told = capsys.readouterr()
    text = out.strip()
    assert token_file.entries(file) == [Token.of(text, {"subscribe", "admin"}, "page")]
    assert (len(text) > 43, text in file.read_text(), text in told, "earmark reload" in told) == (
        True,
        False,
        False,
        True,
    )


def test_a_token_may_receive_events_and_no_more_unless_told_otherwise(file: Path) -> None:
    main(["token", "new", "page", "--file", str(file)])
    assert [token.scopes for token in token_file.entries(file)] == [{"subscribe"}]


def test_no_two_tokens_are_equal(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        main(["token", "new", name, "--file", str(file)])
    assert len(set(capsys.readouterr().out.split())) == 2


def test_tokens_are_listed_with_what_they_allow(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    token = Token.of("text", {"admin", "send"}, "satellite")
    file.write_text(f"{token_lines.line(token)}\nplain\n")
    file.chmod(0o600)
    assert main(["token", "list", "--file", str(file)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "name          allows",
        "satellite     send, admin",
        "(plain text)  subscribe, classify, send",
    ]


def test_a_revoked_token_is_gone_and_another_name_is_an_error(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["token", "new", "page", "--file", str(file)])
    assert main(["token", "revoke", "pag", "--file", str(file)]) == 2
    assert 'there is no token "pag"; did you mean page?' in capsys.readouterr().err
    assert main(["token", "revoke", "page", "--file", str(file)]) == 0
    assert token_file.entries(file) == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [(["a/b"], "'a/b' is not a name"), (["a", "--scope", "admim"], "there is no scope 'admim'; did you mean admin?")],
)
def test_a_wrong_name_or_scope_makes_no_file(
    arguments: list[str], told: str, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["token", "new", *arguments, "--file", str(file)]) == 2
    assert (told in capsys.readouterr().err, file.exists()) == (True, False)


def test_the_file_is_that_of_the_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "earmark.toml").write_text('[server]\ntoken_file = "ours"\n')
    assert main(["token", "new", "page", "--config", str(tmp_path / "earmark.toml")]) == 0
    assert len(token_file.entries(tmp_path / "ours")) == 1
    assert "[server]" not in capsys.readouterr().err


def test_without_any_it_is_in_the_state_folder_and_the_line_for_the_configuration_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    assert main(["token", "new", "page"]) == 0
    assert len(token_file.entries(tmp_path / "tokens")) == 1
    assert f'under [server]: token_file = "{tmp_path / "tokens"}"' in capsys.readouterr().err


def test_a_file_that_is_not_there_cannot_be_listed(file: Path) -> None:
    assert main(["token", "list", "--file", str(file)]) == 2
    with pytest.raises(ConfigError, match="cannot be read"):
        token_file.entries(file)


def test_the_help_says_what_each_scope_allows(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["token", "--help"])
    told = capsys.readouterr().out.partition("scopes:")[2]
    assert [scope for scope in SCOPES if f" {scope} " not in f"{told} ".replace("\n", " ")] == []
