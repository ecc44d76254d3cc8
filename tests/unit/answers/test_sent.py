from __future__ import annotations

import itertools

import pytest

from earmark.answers.sent import DIGEST_BYTES, sent_key


def test_the_same_request_has_the_same_key_whatever_else_its_query_says() -> None:
    one = sent_key("m", "r", b"body", {"top_k": "3"})
    assert one == sent_key("m", "r", b"body", {"top_k": "3", "utm_source": "x"})
    assert len(one) == DIGEST_BYTES


@pytest.mark.parametrize("same", [{}, {"unknown": "1"}])
def test_requests_that_differ_in_anything_that_matters_have_keys_of_their_own(same: dict[str, str]) -> None:
    requests: list[tuple[str, str, bytes, dict[str, str]]] = [
        ("m", "r", b"body", {}),
        ("m2", "r", b"body", {}),
        ("r", "m", b"body", {}),
        ("m", "r2", b"body", {}),
        ("m", "r", b"bodY", {}),
        ("m", "r", b"", {}),
        ("m", "r", b"body", {"top_k": "3"}),
        ("m", "r", b"body", {"top_k": ""}),
        ("m", "r", b"body", {"function_to_apply": "3"}),
        ("m", "r", b"body", {"top_k": "3", "function_to_apply": "none"}),
        ("m", "r", b"body", {"candidate_labels": "a,b"}),
        ("m", "r", b"body", {"candidate_labels": "a,b", "hypothesis_template": "{}"}),
    ]
    keys = [sent_key(model, revision, body, same | query) for model, revision, body, query in requests]
    assert all(one != other for one, other in itertools.combinations(keys, 2))
