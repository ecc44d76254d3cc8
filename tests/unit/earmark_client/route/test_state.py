from __future__ import annotations

import sqlite3
import stat
from pathlib import Path

import pytest

from earmark.errors import EarmarkError
from earmark_client.following.position import Position
from earmark_client.route.state import KEPT, Claim, State, state_path
from earmark_client.routing.decide import Heard, Memory


def claim(number: int, route: str = "r") -> Claim:
    return Claim(route, f"e:{number}", f'{{"seq":{number}}}')


def test_a_new_state_knows_nothing_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "state.db"
    with State(path) as state:
        assert (state.position, state.memory, state.unfinished()) == (None, Memory(), [])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_was_noted_begun_and_ended_is_there_when_it_is_opened_again(tmp_path: Path) -> None:
    memory = Memory({"r": "2026-11-23T12:00:01.000Z"}, {"desk\ngo": Heard(1.0, None, "", "")})
    with State(tmp_path / "s") as state:
        assert state.note(Position("e", 3), memory, [claim(1), claim(2), claim(3)]) == [claim(1), claim(2), claim(3)]
        state.begin("r", "e:1")
        state.end("r", "e:1", "done")
        state.begin("r", "e:2")
    with State(tmp_path / "s") as state:
        assert (state.position, state.memory) == (Position("e", 3), memory)
        assert state.unfinished() == [(claim(2), True), (claim(3), False)]
        assert state.outcomes() == [("r", "e:1", "done"), ("r", "e:2", ""), ("r", "e:3", "")]


def test_an_event_that_comes_again_is_new_only_to_another_route(tmp_path: Path) -> None:
    with State(tmp_path / "s") as state:
        state.note(Position("e", 1), Memory(), [claim(1)])
        again = state.note(Position("e", 1), Memory(), [claim(1), claim(1, "other")])
        assert again == [claim(1, "other")]


def test_what_has_ended_is_forgotten_after_a_thousand_more(tmp_path: Path) -> None:
    with State(tmp_path / "s") as state:
        state.note(Position("e", 1), Memory(), [claim(0)])
        for number in range(1, 3):
            state.note(Position("e", 1), Memory(), [claim(number)])
            state.end("r", f"e:{number}", "done")
        state.note(Position("e", KEPT), Memory(), [claim(number) for number in range(3, KEPT + 3)])
        assert state.outcomes()[:2] == [("r", "e:0", ""), ("r", "e:3", "")]  # what has not ended stays


def test_a_second_router_is_refused_while_the_first_one_runs(tmp_path: Path) -> None:
    with State(tmp_path / "s"), pytest.raises(EarmarkError, match="another `earmark route` uses this state"):
        State(tmp_path / "s")
    with State(tmp_path / "s") as state:
        assert state.position is None


def test_a_file_that_is_no_state_is_set_aside_and_told(tmp_path: Path) -> None:
    (tmp_path / "s").write_bytes(b"no database at all" * 100)
    told: list[str] = []
    with State(tmp_path / "s", told.append) as state:
        state.note(Position("e", 1), Memory())
    assert len(told) == 1
    assert (tmp_path / "s.damaged").read_bytes().startswith(b"no database")


def test_a_state_that_is_damaged_inside_is_set_aside_before_it_is_used(tmp_path: Path) -> None:
    path, told = tmp_path / "s", list[str]()
    with State(path) as state:
        state.note(Position("e", 400), Memory(), [claim(number) for number in range(400)])
    content = bytearray(path.read_bytes())
    for page in range(2 * 4096, len(content), 4096):
        content[page : page + 200] = b"\xaa" * 200
    path.write_bytes(content)

    with State(path, told.append) as state:
        assert (state.position, state.unfinished()) == (None, [])
    assert len(told) == 1
    assert (tmp_path / "s.damaged").exists()


def test_a_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "s") as other:
        other.execute("CREATE TABLE meta (mine)")
    other.close()
    with pytest.raises(EarmarkError, match="the state cannot be read: no such column"):
        State(tmp_path / "s")


def test_a_state_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    with State(tmp_path / "s") as state:
        state.note(Position("e", 1), Memory(), [claim(1)])
    full = sqlite3.connect(tmp_path / "s")
    full.execute("CREATE TRIGGER refuse BEFORE UPDATE ON action BEGIN SELECT RAISE(ABORT, 'disk full'); END")
    full.commit()
    full.close()
    with State(tmp_path / "s") as state, pytest.raises(EarmarkError, match="cannot be written, so nothing runs"):
        state.begin("r", "e:1")


def test_each_routes_file_has_a_state_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    one, same, other = tmp_path / "x.toml", tmp_path / "a" / ".." / "x.toml", tmp_path / "y.toml"
    assert state_path(one, tmp_path) == state_path(same, tmp_path) != state_path(other, tmp_path)
