from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from earmark.publish.outbox import Kind, Message, Outbox


def message(text: str) -> Message:
    """`r1` is a result, `e1` an event, and `a=1` a state of the topic `a`."""
    topic, is_state, payload = text.partition("=")
    if is_state:
        return Message(topic, payload.encode(), Kind.STATE)
    return Message("t", text.encode(), Kind.RESULT if text[0] == "r" else Kind.EVENT)


def told(message: Message) -> str:
    text = message.payload.decode()
    return f"{message.topic}={text}" if message.kind is Kind.STATE else text


def filled(texts: str, most: int = 3, most_bytes: int = 1000) -> Outbox:
    outbox = Outbox(most, most_bytes)
    for text in texts.split():
        outbox.put(message(text))
    return outbox


def emptied(outbox: Outbox) -> str:
    found: list[str] = []
    while (taken := outbox.take()) is not None:
        found.append(told(taken))
    assert (len(outbox), outbox.bytes) == (0, 0)
    return " ".join(found)


def test_messages_come_out_in_their_order() -> None:
    assert emptied(filled("a=ON e1 a=OFF")) == "a=ON e1 a=OFF"


def test_where_there_is_no_room_the_oldest_result_goes_first_and_then_the_oldest_event() -> None:
    outbox = filled("e1 r1 r2 e2 r3")
    assert (outbox.dropped, emptied(outbox)) == (2, "e1 e2 r3")
    outbox = filled("e1 e2 a=1 b=1 c=1")
    assert (outbox.dropped, emptied(outbox)) == (2, "a=1 b=1 c=1")


def test_older_states_of_a_topic_go_where_there_is_no_room_and_the_newest_never() -> None:
    outbox = filled("a=1 b=1 a=2 b=2 c=1 d=1 a=3")
    assert (outbox.dropped, emptied(outbox)) == (0, "b=2 c=1 d=1 a=3")
    assert emptied(filled("a=1 e1 a=2 r1")) == "a=1 e1 a=2"
    assert emptied(filled("a=1 e1 a=2 e2")) == "e1 a=2 e2"


def test_bytes_are_bounded_like_the_number() -> None:
    outbox = filled("r1 r2 r3", most=100, most_bytes=7)
    assert (outbox.dropped, outbox.bytes, emptied(outbox)) == (1, 6, "r2 r3")


def test_what_is_forgotten_does_not_come_out() -> None:
    outbox = filled("e1 a=1 r1", most=10)
    assert (outbox.forget(Kind.STATE), outbox.forget(Kind.RESULT)) == (1, 1)
    outbox.put(message("r2"))
    assert emptied(outbox) == "e1 r2"


steps = st.lists(st.sampled_from(["a=ON", "a=OFF", "b=ON", "b=OFF", "e", "r", "take"]), max_size=60)


@given(steps)
def test_what_comes_out_is_in_order_and_ends_with_the_newest_state_of_each_topic(steps: list[str]) -> None:
    outbox, given, taken, newest = Outbox(4, 1000), list[str](), list[str](), dict[str, str]()
    for number, step in enumerate(steps):
        if step == "take":
            each = outbox.take()
            taken += [told(each)] if each else []
            continue
        text = f"{step}{number}"
        given.append(text)
        outbox.put(message(text))
        if "=" in step:
            newest[step[0]] = text
        assert len(outbox) <= 4
    taken += emptied(outbox).split()
    assert [given.index(each) for each in taken] == sorted(given.index(each) for each in taken)
    for topic, text in newest.items():
        assert [each for each in taken if each.startswith(f"{topic}=")][-1] == text
