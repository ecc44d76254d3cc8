from __future__ import annotations

from http import HTTPStatus

import msgspec
import pytest

from earmark.protocol.endpoints import CLASSIFIERS
from earmark.protocol.events import Numbered, encode
from earmark_client.calls import Call
from earmark_client.explain import reasons
from earmark_client.request import Refused, Response
from tests.serving import command, result


def explained(event: Numbered, status: int) -> list[str]:
    """The lines about an event, from a server that answers the list of classifiers with an error."""
    steps = reasons(str(event.seq))
    answer: Response | None = None
    while True:
        try:
            call = steps.send(answer)
        except StopIteration as end:
            return list(end.value)
        assert isinstance(call, Call)
        if call.path == CLASSIFIERS:
            answer = Response(status, {}, b'{"error":"this is a gateway"}')
        else:
            kept = [] if "types=config" in call.path else [msgspec.Raw(encode(event))]
            page = {"epoch": "e", "oldest": 1, "next": None, "events": kept}
            answer = Response(HTTPStatus.OK, {}, msgspec.json.encode(page))


def test_labels_and_results_are_explained_at_a_gateway_which_knows_no_settings() -> None:
    assert explained(command(7), HTTPStatus.NOT_FOUND)[0].startswith("stop (commands) at 1.00 s")
    lines = explained(result(8), HTTPStatus.NOT_FOUND)
    assert "Its thresholds are not known: the classifier is gone, or this is a gateway, which knows none." in lines


def test_a_refusal_for_another_reason_is_told() -> None:
    with pytest.raises(Refused, match="this is a gateway"):
        explained(result(8), HTTPStatus.FORBIDDEN)
