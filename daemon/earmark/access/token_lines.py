"""The text of a file of tokens: `NAME SCOPE,SCOPE sha256:HASH` on each line, or a token as it is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from earmark.access.tokens import ALL_SCOPES, SCOPES, Token, TokenScope
from earmark.errors import ConfigError
from earmark.hints import did_you_mean

PLAIN_SCOPES = ALL_SCOPES - {"clips", "admin"}  # of a token as it is: such files were written before there were these
HEAD = "# One token a line, as its name, scopes and hash. `earmark token` changes this file.\n"

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
A_NAME = "a name (letters, digits, dots, - and _, 64 at most)"
_HASH = re.compile(r"sha256:([0-9a-f]{64})")


def parse(text: str) -> list[Token]:
    """Return the tokens. Empty lines and those that begin with # are skipped; a token as it is has no name.

    Raises ConfigError, which names the line and never repeats it, since it may contain a token.
    """
    found: list[Token] = []
    for number, words in _lines(text):
        try:
            found.append(_token(words))
        except ConfigError as error:
            raise ConfigError(f"line {number}: {error}") from None
        if found[-1].name and [token.name for token in found].count(found[-1].name) > 1:
            raise ConfigError(f'line {number}: a token above it is also named "{found[-1].name}"; names must differ')
    return found


def line(token: Token) -> str:
    """Return the line of a token that has a name."""
    scopes = ",".join(scope for scope in SCOPES if scope in token.scopes)
    return f"{token.name} {scopes} sha256:{token.digest.hex()}"


def with_token(text: str, token: Token) -> str:
    """Return the text with one more token. Raises ConfigError if one of that name is there."""
    if any(other.name == token.name for other in parse(text)):
        raise ConfigError(f'there is a token "{token.name}" already; choose another name, or revoke it')
    start = text or HEAD
    return f"{start}{'' if start.endswith(chr(10)) else chr(10)}{line(token)}\n"


def without(text: str, name: str) -> str:
    """Return the text without the token of that name. Raises ConfigError if there is none."""
    names = [token.name for token in parse(text) if token.name]
    if name not in names:
        hint = did_you_mean(name, names) or (f"there are {', '.join(names)}" if names else "no token has a name")
        raise ConfigError(f'there is no token "{name}"; {hint}')
    gone = next(number for number, words in _lines(text) if len(words) == 3 and words[0] == name)
    return "".join(each for number, each in enumerate(text.splitlines(keepends=True), 1) if number != gone)


def name(text: str) -> str:
    """Return the name of a token. Raises ConfigError if it is none."""
    if not _NAME.fullmatch(text):
        raise ConfigError(f"{text!r} is not {A_NAME}")
    return text


def scopes(text: str) -> frozenset[TokenScope]:
    """Return the scopes in a comma list. Raises ConfigError if one does not exist."""
    names = [each.strip() for each in text.split(",")]
    for each in names:
        if each not in SCOPES:
            hint = did_you_mean(each, SCOPES) or f"there are {', '.join(SCOPES)}"
            raise ConfigError(f"there is no scope {each[:64]!r}; {hint}")
    return frozenset(scope for scope in SCOPES if scope in names)


def _lines(text: str) -> Iterator[tuple[int, Sequence[str]]]:
    """Yield the number and the words of each line that holds a token."""
    for number, each in enumerate(text.splitlines(), 1):
        words = each.split()
        if words and not words[0].startswith("#"):
            yield number, words


def _token(words: Sequence[str]) -> Token:
    if len(words) == 1:
        if not words[0].isprintable():
            raise ConfigError("no token: it has characters that cannot be printed")
        if _HASH.fullmatch(words[0]):
            raise ConfigError("a hash without a name and scopes before it; as a token, the hash itself would be let in")
        return Token.of(words[0], PLAIN_SCOPES)
    if len(words) != 3 or not (found := _HASH.fullmatch(words[2])):
        raise ConfigError("neither NAME SCOPE,SCOPE sha256:HASH nor a token, which has no spaces")
    if not _NAME.fullmatch(words[0]):
        raise ConfigError(f"its first word is not {A_NAME}")
    for number, each in enumerate(words[1].split(","), 1):
        if each not in SCOPES:
            hint = did_you_mean(each, SCOPES) or f"there are {', '.join(SCOPES)}"
            raise ConfigError(f"scope {number} of its second word does not exist; {hint}")
    return Token(words[0], scopes(words[1]), bytes.fromhex(found[1]))
