from __future__ import annotations

from earmark.gateway.messages import published, read
from earmark.gateway.nodes import Nodes
from earmark.jetstream.subjects import ON_SCORE
from earmark.protocol.events import Gap, encode
from tests.serving import command, result

NODES = Nodes(False, 60.0)


def test_an_event_keeps_all_but_its_number() -> None:
    event = read(encode(result(7)))
    assert event == result(7)
    here = published(NODES, "home", result(7), {ON_SCORE: "0.77"}, 9, 0.0)
    assert (here.event, here.text, here.on_score) == (result(9), encode(result(9)), 0.77)
    assert published(NODES, "home", command(7), None, 9, 0.0).on_score is None
    assert published(NODES, "home", command(7), {ON_SCORE: "high"}, 9, 0.0).on_score is None


def test_a_gap_and_what_somebody_else_has_sent_are_no_events() -> None:
    assert [read(text) for text in (encode(Gap(1, 2, "too_old")), b"x", b"{}", b'{"type":"hello"}')] == [None] * 4
