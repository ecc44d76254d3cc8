"""What `earmark learn` prints while it works."""

from __future__ import annotations

import io

from earmark.commands.learn import CLEAR_LINE, TICK, Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Ascii(io.StringIO):
    encoding = "ascii"


def test_on_a_terminal_each_level_takes_the_place_of_the_one_before() -> None:
    terminal = Terminal()
    progress = Progress(terminal)
    progress.show("quiet")
    progress.show("loud")
    progress.tell("heard")
    assert terminal.getvalue() == f"{CLEAR_LINE}earmark: quiet{CLEAR_LINE}earmark: loud{CLEAR_LINE}earmark: heard\n"


def test_elsewhere_levels_and_percentages_are_left_out() -> None:
    file = io.StringIO()
    progress = Progress(file)
    progress.show("loud")
    progress.tell("hearing the examples: 10%")
    progress.tell("heard")
    assert file.getvalue() == "earmark: heard\n"


def test_a_tick_is_spelt_where_the_encoding_has_none() -> None:
    plain, wide = Ascii(), io.StringIO()
    Progress(plain).tell(f"{TICK} 'lamp' (1 of 12)")
    Progress(wide).tell(f"{TICK} 'lamp' (1 of 12)")
    assert (plain.getvalue(), wide.getvalue()) == (
        "earmark: ok 'lamp' (1 of 12)\n",
        f"earmark: {TICK} 'lamp' (1 of 12)\n",
    )
