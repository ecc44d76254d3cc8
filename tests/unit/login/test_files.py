from __future__ import annotations

import pytest

from earmark.login.files import node_of


@pytest.mark.parametrize(
    ("host", "node"),
    [("kitchen.local", "kitchen"), ("My PC", "My-PC"), ("größe", "gr-e"), ("", "daemon"), ("a" * 99, "a" * 64)],
)
def test_the_node_is_the_name_of_the_machine_as_a_topic_may_have_it(host: str, node: str) -> None:
    assert node_of(host) == node
