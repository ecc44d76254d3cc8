from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from earmark.broadcast.steady_clock import SteadyClock

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


class Clocks:
    """A wall clock that can be set, and a monotonic one. Both go on when seconds pass."""

    def __init__(self) -> None:
        self.wall = NOON
        self.monotonic = 0
        self.steady = SteadyClock(lambda: self.wall, lambda: self.monotonic)

    def after(self, seconds: float, *, back: float = 0.0) -> float:
        """The seconds since noon that the steady clock tells, when so many have passed and the wall was set back."""
        self.wall += timedelta(seconds=seconds - back)
        self.monotonic += round(seconds * 1e9)
        return (self.steady.now() - NOON).total_seconds()


def test_it_tells_what_the_wall_clock_tells() -> None:
    clocks = Clocks()
    assert [clocks.after(1), clocks.after(0), clocks.after(59)] == [1, 1, 60]


def test_after_the_wall_clock_was_set_back_it_goes_on_at_half_the_speed_until_both_agree() -> None:
    clocks = Clocks()
    clocks.after(1)
    assert clocks.after(0, back=3600) == 1
    assert [clocks.after(10), clocks.after(10)] == [6, 11]
    assert clocks.after(7180) == 3601, "two hours later, both tell the same"
    assert clocks.after(10) == 3611


def test_it_jumps_forward_with_the_wall_clock() -> None:
    clocks = Clocks()
    assert clocks.after(0, back=-28800) == 28800, "set forward, or suspended for eight hours"
    assert clocks.after(1) == 28801


@given(st.lists(st.tuples(st.floats(0, 1e5), st.floats(-1e5, 1e5))))
def test_it_never_runs_backwards(steps: list[tuple[float, float]]) -> None:
    clocks = Clocks()
    told = [clocks.after(seconds, back=back) for seconds, back in steps]
    assert told == sorted(told)
