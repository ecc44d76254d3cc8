"""Which refusals of a handshake end a subscription, and which only delay it."""

from __future__ import annotations

import pytest
from websockets.datastructures import Headers
from websockets.exceptions import InvalidStatus
from websockets.http11 import Response

from earmark_client.address import address
from earmark_client.following.connection import failure_of


@pytest.mark.parametrize(("status", "final"), [(400, True), (401, True), (403, True), (429, False), (503, False)])
def test_a_refusal_that_passes_is_tried_again_after_the_time_that_the_daemon_asks_for(status: int, final: bool) -> None:
    response = Response(status, "", Headers({"Retry-After": "3"}), b'{"error":"too many"}')
    failure = failure_of(InvalidStatus(response), address("127.0.0.1:8765"))
    assert (failure.final, failure.retry_after) == (final, 3.0)
    assert "too many" in str(failure.error)
