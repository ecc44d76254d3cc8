from __future__ import annotations

from earmark.supervision.hang_up import Terminal


def test_a_terminal_has_closed_if_it_was_there_and_is_not_any_more() -> None:
    there = [True, True, False]
    terminal = Terminal(lambda: there.pop(0))
    assert not terminal.has_closed()
    assert terminal.has_closed()


def test_what_never_had_a_terminal_has_lost_none() -> None:
    assert not Terminal(lambda: False).has_closed()
