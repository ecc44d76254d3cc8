"""How the monitor says things: letters for labels, how sure a classifier is, how long something lasted. Pure."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from datetime import datetime, tzinfo

from earmark.columns import printable
from earmark.protocol.events import BAND_LIMITED

SPARE = "abcdefghijklmnopqrstuvwxyz0123456789"
NOT_A_MEASUREMENT = (
    "This is a classification of acted or spoken expression, and not a measurement of feelings: it says which label"
    " the sound resembled most, among the recordings that the model was trained on."
)
_SURE = ((0.5, "clear"), (0.25, "fairly clear"), (0.1, "close"))
_STATES = {
    "starting": "starting",
    "listening": "listening",
    "quiet": "listening; next to nothing is heard",
    "muted": "muted: it delivers no sound",
    "clipping": "too loud: the sound is distorted",
    "stalled": "delivers nothing at the moment",
    "lost": "lost",
    "paused": "paused",
    "stopped": "stopped",
}


def letters(labels: Iterable[str]) -> dict[str, str]:
    """Return a letter for each label, no letter twice while there are some: the first of the name that is free."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for label in labels:
        wanted = [char for char in label.lower() if char in SPARE]
        letter = next((char for char in (*wanted, *SPARE) if char not in taken), "?")
        taken.add(letter)
        found[label] = letter.upper()
    return found


def sure(ranked: Sequence[tuple[str, float]]) -> str:
    """Say how far the best label is ahead of the second."""
    if not ranked:
        return "nothing was classified yet"
    best, second = ranked[0], ranked[1] if len(ranked) > 1 else ("", 0.0)
    margin = best[1] - second[1]
    word = next((word for least, word in _SURE if margin >= least), "a toss-up")
    return f"{word}: {best[0]} {best[1]:.2f}" + (f", then {second[0]} {second[1]:.2f}" if second[0] else "")


def lasted(seconds: float) -> str:
    """Say a length of time: `4.2 s`, `3:07`, `1:02:03`."""
    if seconds < 59.95:
        return f"{max(seconds, 0.0):.1f} s"
    whole = int(seconds + 0.5)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


def is_limited(name: str, detail: str) -> bool:
    """Return whether a source listens and does not get all that a model takes."""
    return name == "listening" and detail.startswith(BAND_LIMITED)


def state(name: str, detail: str = "") -> str:
    """Say the state of a source."""
    if is_limited(name, detail):
        return "listening; it carries no high frequencies"
    return _STATES.get(name, name) + (f": {detail}" if detail and name not in ("listening", "quiet") else "")


def clock(time: float, zone: tzinfo | None = None) -> str:
    """Return `07:31:05`, local or in `zone`."""
    return datetime.fromtimestamp(time, zone).strftime("%H:%M:%S")


def percent(part: float) -> str:
    """Return a part of 1 as whole percent, where only nothing is 0 % and only everything 100 %."""
    if 0 < part < 0.005:
        return "<1 %"
    if 0.995 <= part < 1:
        return ">99 %"
    return f"{part * 100:.0f} %"


def escape(text: str) -> str:
    """Return the text for HTML, without what would turn the direction of what follows or is no character of HTML."""
    return html.escape(printable(text))
