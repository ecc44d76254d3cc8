"""What the keys do."""

from __future__ import annotations

from earmark_client.monitor.keys import MOST_NOTE, Do, Keys


def test_space_holds_the_display_and_lets_it_go_on() -> None:
    keys = Keys()

    assert [(keys.press(" ", 0), keys.held) for _ in range(2)] == [([], True), ([], False)]


def test_a_mark_has_the_time_of_its_key_and_the_note_that_was_typed_after_it() -> None:
    keys = Keys()

    done = [*keys.press("m", 5.0), *keys.press("doo", 6.0), *keys.press("\x7fg q", 7.0), *keys.press("\n", 8.0)]

    assert (done, keys.marked, keys.kept, keys.note) == ([Do.MARK], 5.0, "dog q", None)


def test_escape_marks_without_a_note() -> None:
    keys = Keys()

    assert (keys.press("mab", 1.0), keys.press("\x1b", 2.0), keys.kept) == ([], [Do.MARK], "")


def test_a_note_is_not_longer_than_a_line_can_be() -> None:
    keys = Keys()

    keys.press("m" + "x" * 1000, 0)

    assert keys.note == "x" * MOST_NOTE


def test_q_quits_and_arrows_do_nothing() -> None:
    keys = Keys()

    assert keys.press("\x1b[A", 0) == []
    assert keys.press("q", 0) == [Do.QUIT]
    assert (keys.held, keys.help, keys.note) == (False, False, None)


def test_a_question_mark_shows_the_help_and_escape_hides_it() -> None:
    keys = Keys()
    keys.press("?", 0)
    shown = keys.help
    keys.press("\x1b", 0)

    assert (shown, keys.help) == (True, False)
