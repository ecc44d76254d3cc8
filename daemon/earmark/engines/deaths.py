"""How often model processes have died in a row, and how long the next one is waited for."""

from __future__ import annotations

from typing import NamedTuple

FIRST_DELAY_SECONDS, MAX_DELAY_SECONDS = 0.5, 30.0  # before a restart, doubled with each death
HEALTHY_SECONDS = 60.0  # of serving, after which earlier deaths are forgotten
MAX_DEATHS = 5  # in a row; then the engine has failed, and the process is started again all the same


class Ended(NamedTuple):
    """How a process ended, as the rest of a sentence, and whether it ended because it was to be replaced."""

    how: str
    retired: bool = False
    outgrew: bool = False


class Verdict(NamedTuple):
    """What follows from an end: the process had `proved` itself, and it `died` or was only replaced."""

    proved: bool
    died: bool


class Deaths:
    """Counts the processes that died one after the other. The caller passes the time in seconds.

    It says serves() when a process has loaded its models, and ended() when one has ended.
    """

    def __init__(self) -> None:
        self.in_a_row = 0
        self._serving_since: float | None = None

    def serves(self, now: float) -> None:
        """Note that a process serves from now on."""
        self._serving_since = now

    def ended(self, ended: Ended, now: float) -> Verdict:
        """Count the end of a process. One that has served for a while takes the deaths before it with it."""
        proved = self._serving_since is not None and now - self._serving_since >= HEALTHY_SECONDS
        self._serving_since = None
        if proved:
            self.in_a_row = 0
        # a process that outgrew its bound soon after its start would do so again and again
        died = not ended.retired or (ended.outgrew and not proved)
        self.in_a_row += died
        return Verdict(proved, died)

    def delay(self, *, died: bool, has_spare: bool) -> float:
        """Return the seconds until the next process is started. The first one is started at once from a spare one."""
        if not died or (self.in_a_row == 1 and has_spare):
            return 0.0
        return min(MAX_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2.0 ** (self.in_a_row - 1))

    @property
    def too_many(self) -> bool:
        """Whether so many died in a row that the engine counts as failed."""
        return self.in_a_row >= MAX_DEATHS
