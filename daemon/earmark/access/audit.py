"""The audit log: who changed what in the running daemon, and who was refused."""

from __future__ import annotations

import json
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from earmark.columns import printable

log = logging.getLogger("earmark.audit")

CALLER = "caller"  # key in the state of an HTTP request, whose value caller() makes
REFUSALS_EVERY = 60.0  # seconds between two lines about refusals of one caller
MAX_CALLERS = 1000  # that are remembered; beyond it the oldest is forgotten
MAX_TOLD = 500  # characters of a value


@dataclass(slots=True)
class _Refusals:
    told: float  # when the last line was written
    untold: int = 0


class Audit:
    """Writes a line for each change, and for refusals one a minute and caller, with a count. It never sees a token."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._refusals: OrderedDict[str, _Refusals] = OrderedDict()

    def changed(self, who: str, key: str, before: object, after: object) -> None:
        """Tell that a setting became another one. `who` is what caller() returns, or the name of a signal."""
        log.info("%s changed %s from %s to %s", who, _told(key), _value(before), _value(after))

    def did(self, who: str, what: str) -> None:
        """Tell what somebody did that changed no setting."""
        log.info("%s %s", who, _told(what))

    def refused(self, who: str, what: str, why: str) -> None:
        """Tell that a request to do `what` was refused."""
        now, before = self._now(), self._refusals.get(who)
        if before is not None and now - before.told < REFUSALS_EVERY:
            before.untold += 1
            return
        more = f" ({before.untold} more refusals since the last line)" if before is not None and before.untold else ""
        self._refusals[who] = _Refusals(now)
        self._refusals.move_to_end(who)
        if len(self._refusals) > MAX_CALLERS:
            self._refusals.popitem(last=False)
        log.info("%s was refused %s: %s%s", who, _told(what), _told(why), more)


def caller(token: str | None, address: str) -> str:
    """Return who asks, from the name of the token that was shown and the address."""
    shown = "no token" if token is None else f'token "{token}"' if token else "a token without a name"
    return f"{shown} at {address}"


def _value(value: object) -> str:
    return _told(json.dumps(value, ensure_ascii=False, default=str))


def _told(text: str) -> str:
    """Return the text for one line of the log: no character that a terminal would obey."""
    return printable(text[:MAX_TOLD])
