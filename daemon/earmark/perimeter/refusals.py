"""Who was refused, counted by reason, and told in one sentence for many."""

from __future__ import annotations

from collections import Counter

REASONS = {
    "host": "with a foreign Host",
    "origin": "from a foreign page",
    "no_token": "without a token",
    "wrong_token": "with a wrong token",
    "guessing": "after too many wrong tokens",
    "scope": "with a token that does not allow it",
    "remote": "that only this machine may make",
    "malformed": "that are malformed",
    "rate": "over a limit",
    "place": "without a place",
    "tls": "without TLS that can be spoken",
    "path": "for what is not there",
    "other": "for another reason",
}
"""What each reason says of the requests and connections that were refused for it."""

BY_STATUS = {400: "malformed", 404: "path", 405: "malformed", 414: "malformed", 429: "rate", 431: "malformed"}
BY_STATUS |= {503: "place"}


def reason_of(status: int) -> str:
    """Return the reason of a refusal that names none, from its HTTP status."""
    return BY_STATUS.get(status, "other")


class Refusals:
    """Counts refusals: `totals` since the start, and those since take() last, each reason with one of its addresses."""

    def __init__(self) -> None:
        self.totals: Counter[str] = Counter(dict.fromkeys(REASONS, 0))
        self._untold: Counter[str] = Counter()
        self._examples: dict[str, str] = {}

    def add(self, reason: str, address: str) -> None:
        """Count one."""
        self.totals[reason] += 1
        self._untold[reason] += 1
        self._examples[reason] = address

    def take(self) -> str:
        """Return the sentence about those since the last call; empty if there are none."""
        untold, self._untold = self._untold, Counter()
        told: list[str] = []
        for reason, count in untold.most_common():
            who = self._examples[reason] or "a local socket"
            told.append(f"{count} {REASONS[reason]} ({'' if count == 1 else 'one '}from {who})")
        return "; ".join(told)
