from __future__ import annotations

import logging
import os
import stat
import threading
from functools import partial
from pathlib import Path

import pytest

from earmark.access import token_file, token_lines
from earmark.access.token_file import read
from earmark.access.tokens import Token
from earmark.errors import ConfigError

EAR = Token.of("ear-text", {"subscribe"}, "ear")


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    return path


def test_a_byte_order_mark_before_the_first_token_is_skipped(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text("first\nsecond\n", encoding="utf-8-sig")
    file.chmod(0o600)
    assert [read(str(file)).refusal("classify", f"Bearer {token}") for token in ("first", "second")] == [None, None]


def test_without_a_file_no_token_is_needed() -> None:
    assert read("").required is False


def test_a_file_that_is_not_there_is_told_with_the_command_that_makes_it(tmp_path: Path) -> None:
    absent = tmp_path / "my tokens"
    with pytest.raises(ConfigError) as caught:
        read(str(absent))
    made = f"make it with: earmark token new NAME --file '{absent}'"
    assert str(caught.value) == f"server.token_file: there is no {absent}; {made}"


def test_a_file_without_tokens_lets_nobody_in_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert read(str(write(tmp_path / "tokens", "# none\n"))).required is True
    assert "holds no token, so nobody is let in" in caplog.text


def test_tokens_without_a_name_are_counted_and_not_shown(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    file = write(tmp_path / "tokens", f"plain-one\n{token_lines.line(EAR)}\nplain-two\n")
    tokens = read(str(file))
    assert f"{file} has 2 without a name; they allow all but `admin`" in caplog.text
    assert "plain-one" not in caplog.text
    assert tokens.refusal("send", "Bearer plain-one") is None
    refused = tokens.refusal("admin", "Bearer plain-one")
    assert refused is not None
    assert refused.error == "This token does not allow `admin`"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602])
def test_a_file_that_others_may_read_or_change_is_refused(tmp_path: Path, mode: int) -> None:
    file = write(tmp_path / "tokens", "token")
    file.chmod(mode)
    with pytest.raises(ConfigError, match=r"^server.token_file: others may read or change .*; run: chmod 600 "):
        read(str(file))


def test_a_wrong_line_is_told_with_the_file(tmp_path: Path) -> None:
    file = write(tmp_path / "tokens", "my token\n")
    with pytest.raises(ConfigError) as caught:
        read(str(file))
    assert str(caught.value).startswith(f"server.token_file: {file}: line 1: neither NAME")


def test_a_pipe_in_the_place_of_the_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "tokens", 0o600)
    with pytest.raises(ConfigError, match=r"tokens cannot be read: it is no regular file$"):
        read(str(tmp_path / "tokens"))
    with pytest.raises(ConfigError, match=r"tokens cannot be changed: it is no regular file$"):
        token_file.change(tmp_path / "tokens", str.upper)


def test_a_new_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "state" / "earmark" / "tokens"
    token_file.change(file, lambda text: token_lines.with_token(text, EAR))
    assert (stat.S_IMODE(file.stat().st_mode), file.read_text().splitlines()[-1]) == (0o600, token_lines.line(EAR))
    assert token_file.entries(file) == [EAR]


def test_a_change_that_fails_leaves_the_file_and_nothing_beside_it(tmp_path: Path) -> None:
    file = write(tmp_path / "tokens", "plain\n")
    with pytest.raises(ConfigError, match=f'^{file}: there is no token "ear"'):
        token_file.change(file, lambda text: token_lines.without(text, "ear"))
    assert (file.read_text(), os.listdir(tmp_path)) == ("plain\n", ["tokens"])


def test_a_link_stays_a_link_and_what_it_leads_to_is_changed(tmp_path: Path) -> None:
    file, link = write(tmp_path / "tokens", "plain\n"), tmp_path / "link"
    link.symlink_to(file)
    token_file.change(link, lambda text: text + "more\n")
    assert (link.is_symlink(), file.read_text()) == (True, "plain\nmore\n")


def test_two_changes_at_once_are_both_kept(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    both = threading.Barrier(2)

    def add(name: str) -> None:
        both.wait()
        for number in range(20):
            token = Token.of(f"{name}{number}", {"send"}, f"{name}{number}")
            token_file.change(file, partial(token_lines.with_token, token=token))

    threads = [threading.Thread(target=add, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(token_file.entries(file)) == 40
