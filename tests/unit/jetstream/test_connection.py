from __future__ import annotations

import ssl

import pytest

from earmark.jetstream.connection import LONGEST_PAUSE, Attempts, NatsError, sentence
from earmark.jetstream.login import NatsLogin


def test_all_servers_are_tried_before_a_pause_which_grows_to_a_bound() -> None:
    attempts = Attempts(NatsLogin(("nats://a:1", "nats://b:1")))
    assert [attempts.server() for _ in range(3)] == ["nats://a:1", "nats://b:1", "nats://a:1"]
    pauses = [attempts.pause() for _ in range(30)]
    assert pauses[::2] == [0.0] * 15
    assert 0.25 <= pauses[1] <= 0.5
    assert LONGEST_PAUSE / 2 <= pauses[-1] <= LONGEST_PAUSE
    attempts.succeeded()
    assert [attempts.pause() == 0.0, attempts.pause() <= 0.5] == [True, True]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ConnectionRefusedError(111, "Connection refused"), "Connection refused"),
        (TimeoutError(), "no answer"),
        (NatsError("no receipt"), "no receipt"),
        (Exception("nats: 'Authorization Violation'"), "the server does not accept the login"),
        (ssl.SSLError(1, "x"), "no TLS: "),
    ],
)
def test_an_error_is_told_in_plain_words(error: Exception, told: str) -> None:
    assert sentence(error).startswith(told)
