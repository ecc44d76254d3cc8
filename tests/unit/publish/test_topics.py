from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from earmark.publish.topics import Topics, segment

TOPICS = Topics("earmark", "home")


def test_each_thing_has_a_topic_below_its_source_and_its_classifier() -> None:
    assert TOPICS.status == "earmark/home/status"
    assert TOPICS.availability("desk") == "earmark/home/desk/availability"
    assert TOPICS.state("desk") == "earmark/home/desk/state"
    assert TOPICS.current("desk", "emotion") == "earmark/home/desk/emotion/current"
    assert TOPICS.label("desk", "emotion", "happy") == "earmark/home/desk/emotion/label/happy"
    assert TOPICS.event("desk", "commands") == "earmark/home/desk/commands/event"
    assert TOPICS.result("desk", "commands") == "earmark/home/desk/commands/result"


def test_a_label_with_signs_is_encoded_as_in_a_url() -> None:
    assert TOPICS.label("desk", "sounds", "Male speech, man/speaking") == (
        "earmark/home/desk/sounds/label/Male%20speech%2C%20man%2Fspeaking"
    )


@given(st.text(), st.text())
def test_two_labels_never_have_one_topic_and_none_has_a_sign_that_topics_forbid(one: str, other: str) -> None:
    assert (segment(one) == segment(other)) == (one == other)
    assert not set(segment(one)) & set("/+#$\0 ")
