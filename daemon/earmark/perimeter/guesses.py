"""Wrong tokens, slowed by address: whoever guesses is soon told to wait, and whoever has a token goes on."""

from __future__ import annotations

import math
from collections.abc import Sequence

from earmark.access.limits import PerAddress, Rate
from earmark.access.places import owner_of
from earmark.access.tokens import Refusal, Tokens

GUESSES = Rate(per_second=0.2, burst=10)  # wrong tokens from one address
MOST_SHOWN = 4  # tokens in one request
MOST_REMEMBERED = 10_000  # of the right tokens by address, and of the wrong ones
HERE = "0.0.0.0"  # the address that all clients on this machine count as
TOO_MANY_REQUESTS = 429


class Guesses:
    """Counts the wrong tokens of each address. Times are in seconds and never go back.

    An address that has shown too many is refused with 429 without being told whether a token was right, or the limit
    would be none. What passes all the same is a right token that has come from this address before: the others behind
    a shared address go on. The same wrong token counts once, since a program that repeats it guesses nothing.
    """

    def __init__(self, rate: Rate = GUESSES, most: int = MOST_REMEMBERED) -> None:
        self._limit = PerAddress(rate)
        self._most = most
        self._right: dict[tuple[str, bytes], None] = {}  # in the order in which they came last
        self._wrong: dict[tuple[str, bytes], None] = {}

    def refusal(
        self, tokens: Tokens, address: str, authorization: str | None, subprotocols: Sequence[str], now: float
    ) -> Refusal | None:
        """Return the refusal of a request that shows these tokens because too many were wrong before it, or None."""
        if not tokens.required:
            return None
        right, wrong = tokens.examine(authorization, subprotocols)
        if len(right) + len(wrong) > MOST_SHOWN:
            return Refusal(401, f"a request shows {MOST_SHOWN} tokens at most", reason="wrong_token")
        counted = address if owner_of(address) else HERE
        owner = owner_of(counted)
        if any((owner, each) in self._right for each in right):
            self._remember(self._right, owner, right)
            return None
        new = [each for each in wrong if (owner, each) not in self._wrong]
        if not right and not new:
            return None
        if seconds := self._limit.wait(counted, now):
            sentence = "too many wrong tokens came from your address"
            return Refusal(TOO_MANY_REQUESTS, sentence, reason="guessing", retry_after=math.ceil(seconds))
        if right:
            self._remember(self._right, owner, right)
        else:
            for _ in new:
                self._limit.take(counted, now)
            self._remember(self._wrong, owner, new)
        return None

    def _remember(self, known: dict[tuple[str, bytes], None], owner: str, digests: Sequence[bytes]) -> None:
        for each in digests:
            known.pop((owner, each), None)
            known[owner, each] = None
        while len(known) > self._most:
            del known[next(iter(known))]
