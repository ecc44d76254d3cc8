from __future__ import annotations

import pytest

from earmark.errors import EarmarkError
from earmark_client.route.webhook import headers, judged, key_of


def test_the_signature_is_that_of_the_standard_webhooks_specification() -> None:
    key = key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    sent = headers("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}', key)
    assert sent["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert (sent["webhook-id"], sent["webhook-timestamp"]) == ("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330")


def test_without_a_secret_there_is_an_id_and_no_signature() -> None:
    sent = headers("e:7:r", 1, b"{}", None)
    assert sent["webhook-id"] == "e:7:r"
    assert "webhook-signature" not in sent


def test_a_secret_is_a_text_or_base64_after_its_prefix() -> None:
    assert key_of("plain") == b"plain"
    assert key_of("whsec_AAEC") == b"\x00\x01\x02"
    for wrong, why in (("", "is empty"), ("whsec_!!", "is not base64")):
        with pytest.raises(EarmarkError, match=why):
            key_of(wrong)


@pytest.mark.parametrize(
    ("status", "how", "again"),
    [
        (200, "done", False),
        (204, "done", False),
        (301, "failed", False),
        (400, "failed", False),
        (404, "failed", False),
        (408, "failed", True),
        (429, "failed", True),
        (500, "failed", True),
        (503, "failed", True),
    ],
)
def test_what_a_status_means_and_whether_another_try_may_help(status: int, how: str, again: bool) -> None:
    outcome = judged(status, "Reason", None)
    assert (outcome.how, outcome.again) == (how, again)


@pytest.mark.parametrize(("header", "pause"), [("7", 7), (None, 0), ("Wed, 21 Oct 2026 07:28:00 GMT", 0), ("-1", 0)])
def test_seconds_after_which_to_come_back_are_understood(header: str | None, pause: float) -> None:
    assert judged(503, "Busy", header).pause == pause
