from __future__ import annotations

import pytest

from earmark.jetstream.subjects import MessageId, Subjects, hellos, node_in, nodes_stream, served
from earmark.protocol.events import Config, Loss, Numbered, Source
from tests.serving import TIME, command, result

SUBJECTS = Subjects("earmark", "kitchen")


def test_an_event_has_a_subject_by_which_it_can_be_chosen() -> None:
    events: list[Numbered] = [
        result(1),
        command(2),
        Source(3, TIME, "desk", "lost"),
        Loss(4, TIME, "desk", 0.0, 1.0, "device"),
    ]
    events.append(Config(5, TIME, (), (), "api"))
    assert [SUBJECTS.event(event) for event in events] == [
        "earmark.kitchen.desk.commands.result",
        "earmark.kitchen.desk.commands.label",
        "earmark.kitchen.desk._.source",
        "earmark.kitchen.desk._.loss",
        "earmark.kitchen._._.config",
    ]


def test_the_state_of_the_nodes_lies_outside_of_the_stream_of_events() -> None:
    assert (SUBJECTS.all, SUBJECTS.own, SUBJECTS.nodes) == ("earmark.>", "earmark.kitchen.>", "earmark-nodes.*")
    assert (SUBJECTS.hello, nodes_stream("EARMARK")) == ("earmark-nodes.kitchen", "EARMARK_NODES")


@pytest.mark.parametrize("subject", ["earmark.kitchen.desk.commands.result", "earmark-nodes.kitchen"])
def test_the_node_is_found_in_each_subject(subject: str) -> None:
    assert (node_in(subject), node_in("earmark")) == ("kitchen", "")


def test_an_id_is_read_back_and_one_of_missing_events_as_their_last() -> None:
    assert MessageId.parse(str(MessageId("9f2c", 7))) == MessageId("9f2c", 7)
    assert MessageId.parse(str(MessageId("9f2c", 9, 7))) == MessageId("9f2c", 9)
    assert (MessageId.parse(""), MessageId.parse("9f2c:x"), MessageId.parse("a:1:2")) == (None, None, None)


@pytest.mark.parametrize(
    ("nodes", "sources", "subjects"),
    [
        ((), (), ()),
        (("hall", "hall"), (), ("e.hall.>",)),
        (("hall", "attic"), (), ("e.hall.>", "e.attic.>")),
        ((), ("desk",), ("e.*.desk.>", "e.*._.>")),
        (("hall",), ("desk", "door"), ("e.hall.desk.>", "e.hall.door.>", "e.hall._.>")),
    ],
)
def test_a_part_of_the_stream_has_what_concerns_its_nodes_as_a_whole_too(
    nodes: tuple[str, ...], sources: tuple[str, ...], subjects: tuple[str, ...]
) -> None:
    assert served("e", nodes, sources) == subjects


def test_the_states_of_some_nodes_have_their_subjects_and_those_of_all_none() -> None:
    assert (hellos("e", ("hall", "attic", "hall")), hellos("e", ())) == (("e-nodes.hall", "e-nodes.attic"), ())
