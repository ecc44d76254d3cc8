from __future__ import annotations

from earmark.protocol.readiness import Need, Needs, answer

LOST = {"source desk": "lost for 42 s"}
DEAF: Needs = {"listening": Need(False, LOST), "clips": Need(True)}


def test_a_daemon_that_serves_all_its_purposes_is_ready() -> None:
    needs: Needs = {"listening": Need(True), "clips": Need(True)}
    assert answer(needs) == ({"ready": True, "listening": True, "clips": True}, 200)


def test_a_purpose_that_is_not_served_is_named_with_what_is_missing() -> None:
    assert answer(DEAF) == (
        {
            "ready": False,
            "error": "not ready: listening (source desk)",
            "listening": False,
            "clips": True,
            "missing": {"listening": LOST},
        },
        503,
    )


def test_what_is_missing_is_told_though_the_purpose_is_served() -> None:
    body, status = answer({"listening": Need(True, LOST), "clips": Need(True)})
    assert (body["ready"], body["missing"], status) == (True, {"listening": LOST}, 200)


def test_one_purpose_can_be_asked_for_alone() -> None:
    assert [answer(DEAF, purpose)[1] for purpose in ("listening", "clips")] == [503, 200]
    assert answer(DEAF, "clips")[0]["ready"]


def test_a_daemon_without_a_source_is_never_ready_to_listen() -> None:
    body, status = answer({"clips": Need(True)}, "listening")
    assert status == 503
    assert body["error"] == "not ready: no source, so listening is no purpose of this daemon"
