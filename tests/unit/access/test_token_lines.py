from __future__ import annotations

import hashlib

import pytest

from earmark.access import token_lines
from earmark.access.tokens import ALL_SCOPES, Token
from earmark.errors import ConfigError

EAR = Token.of("ear-text", {"subscribe"}, "ear")
BOSS = Token.of("boss-text", ALL_SCOPES, "boss")
HASH = hashlib.sha256(b"ear-text").hexdigest()


def test_a_line_has_the_name_the_scopes_in_their_order_and_the_hash() -> None:
    assert token_lines.line(EAR) == f"ear subscribe sha256:{HASH}"
    assert token_lines.line(BOSS).split()[1] == "subscribe,classify,send,clips,admin"


def test_what_is_written_is_read_again() -> None:
    text = token_lines.with_token(token_lines.with_token("", EAR), BOSS)
    assert token_lines.parse(text) == [EAR, BOSS]
    assert text.startswith(token_lines.HEAD)


def test_a_token_as_it_is_has_no_name_and_allows_all_but_clips_and_admin() -> None:
    assert token_lines.parse("# ours\n\n  plain-token \n") == [
        Token.of("plain-token", {"subscribe", "classify", "send"})
    ]


def test_a_token_is_added_below_what_is_there_also_without_a_last_line_break() -> None:
    text = token_lines.with_token("# ours\nplain", EAR)
    assert text == f"# ours\nplain\n{token_lines.line(EAR)}\n"


def test_a_token_is_taken_away_and_all_else_stays() -> None:
    text = f"# ours\n{token_lines.line(EAR)}\n\nplain\n{token_lines.line(BOSS)}\n"
    assert token_lines.without(text, "ear") == f"# ours\n\nplain\n{token_lines.line(BOSS)}\n"


def test_a_plain_token_is_no_name() -> None:
    with pytest.raises(ConfigError, match='there is no token "ear"; no token has a name'):
        token_lines.without("ear\n", "ear")


def test_who_revokes_a_name_that_is_not_there_is_told_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r'there is no token "bos"; did you mean boss\?'):
        token_lines.without(token_lines.line(BOSS), "bos")
    with pytest.raises(ConfigError, match='there is no token "x"; there are boss'):
        token_lines.without(token_lines.line(BOSS), "x")


def test_names_must_differ() -> None:
    text = token_lines.line(EAR) + "\n"
    with pytest.raises(ConfigError, match='there is a token "ear" already'):
        token_lines.with_token(text, Token.of("other", {"send"}, "ear"))
    with pytest.raises(ConfigError, match='line 2: a token above it is also named "ear"'):
        token_lines.parse(text + text)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("my secret", "line 2: neither NAME SCOPE,SCOPE sha256:HASH nor a token"),
        ("ear subscribe sha256:12", "line 2: neither NAME"),
        (f"ear subscribe {HASH}", "line 2: neither NAME"),
        (f"ear subscribe sha256:{HASH} more", "line 2: neither NAME"),
        (f"ear subscibe sha256:{HASH}", "line 2: scope 1 of its second word does not exist; did you mean subscribe?"),
        (
            f"ear xyz sha256:{HASH}",
            "line 2: scope 1 of its second word does not exist; there are subscribe, classify, send, clips, admin",
        ),
        ("\0\0\0", "line 2: no token: it has characters that cannot be printed"),
        (f"sha256:{HASH}", "line 2: a hash without a name and scopes before it"),
        (f"e/r send sha256:{HASH}", "line 2: its first word is not a name"),
        (f"my-secret! send sha256:{HASH}", "line 2: its first word is not a name"),
        (f"ear send,my-secret sha256:{HASH}", "line 2: scope 2 of its second word does not exist"),
    ],
)
def test_a_wrong_line_is_named_by_its_number(line: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        token_lines.parse(f"# ours\n{line}\n")
    assert str(caught.value).startswith(told)
    assert "secret" not in str(caught.value)


def test_scopes_are_a_comma_list() -> None:
    assert token_lines.scopes("send, subscribe") == {"send", "subscribe"}
    with pytest.raises(ConfigError, match="there is no scope ''"):
        token_lines.scopes("send,")
