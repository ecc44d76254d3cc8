"""The routes that show and change a daemon, over real HTTP, and who may use them."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from earmark.access import token_lines
from earmark.access.audit import Audit
from earmark.access.tokens import ALL_SCOPES, Token
from earmark.config.settings import Server
from earmark.control.body import MAX_BYTES
from earmark.control.routes import Control
from tests.serving import Serving, serve
from tests.steering import FakeSteering

Scenario = Callable[[Serving, FakeSteering], Awaitable[None]]
JSON = "application/json"


def steered(scenario: Scenario, settings: Server | None = None) -> FakeSteering:
    """Run `scenario` with a server whose daemon is a fake."""
    steering, audit = FakeSteering(), Audit()

    async def run(serving: Serving) -> None:
        await scenario(serving, steering)

    serve(run, settings, routes=Control(steering, audit).routes(), audit=audit)
    return steering


async def ask(serving: Serving, method: str, path: str, content: object = None, **headers: str) -> tuple[int, Any]:
    """Send one request, with `content` as JSON or bytes as they are. An empty header is left out."""
    status, _, body = await exchange(serving, method, path, content, **headers)
    return status, body


async def exchange(
    serving: Serving, method: str, path: str, content: object = None, **headers: str
) -> tuple[int, str, Any]:
    """Send one request, and return the status, the headers in small letters, and the JSON of the answer."""
    sent = {"host": serving.host, "content-type": JSON, "connection": "close"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    data = content if isinstance(content, bytes) else b"" if content is None else json.dumps(content).encode()
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items() if value)]
    head = "\r\n".join([*lines, f"content-length: {len(data)}", "", ""])
    reader, writer = await asyncio.open_connection("127.0.0.1", serving.server.port)
    writer.write(head.encode() + data)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    status, _, rest = answer.partition(b"\r\n")
    head_answered, _, body = rest.partition(b"\r\n\r\n")
    return int(status.split()[1]), head_answered.decode().lower(), json.loads(body or b"null")


def test_sources_and_classifiers_are_shown_all_and_one_by_one() -> None:
    async def scenario(serving: Serving, steering: FakeSteering) -> None:
        status, sources = await ask(serving, "GET", "/v1/sources")
        assert (status, [source["name"] for source in sources]) == (200, ["desk"])
        assert (sources[0]["state"], sources[0]["paused"], sources[0]["settings"]["kind"]) == (
            "listening",
            False,
            "microphone",
        )
        assert await ask(serving, "GET", "/v1/sources/desk") == (200, sources[0])
        _, classifiers = await ask(serving, "GET", "/v1/classifiers")
        assert [each["name"] for each in classifiers] == ["commands", "emotion"]
        assert await ask(serving, "GET", "/v1/classifiers/emotion") == (200, classifiers[1])
        fields = ("model", "gate", "mode", "window", "hop", "labels")
        assert [classifiers[1][name] for name in fields] == [
            *("earmark/emotion", "speech", "sliding", 3.0, 0.5),
            ["happy", "calm"],
        ]
        assert classifiers[1]["thresholds"] == {"happy": 0.8, "calm": 0.8}
        assert (classifiers[1]["decide"]["on"], classifiers[1]["vad"]["threshold"]) == (0.8, 0.5)

    steered(scenario)


def test_a_patch_answers_the_settings_in_force_what_changed_and_the_lines_that_keep_it() -> None:
    async def scenario(serving: Serving, steering: FakeSteering) -> None:
        changes = {"decide": {"on": 0.7, "labels": {"happy": 0.6}}, "vad": {"hangover_ms": 200}}
        status, answer = await ask(serving, "PATCH", "/v1/classifiers/emotion", changes)
        assert status == 200
        assert (answer["decide"]["on"], answer["vad"]["hangover_ms"]) == (0.7, 200)
        assert answer["thresholds"] == {"happy": 0.6, "calm": 0.7}
        assert {"key": "classifier[emotion].decide.on", "before": 0.8, "after": 0.7} in answer["changed"]
        assert (answer["restart"], "[classifier.decide]\non = 0.7" in answer["toml"]) == ([], True)
        assert (await ask(serving, "GET", "/v1/classifiers/emotion"))[1]["decide"] == answer["decide"]

    steered(scenario)


def test_a_source_is_paused_and_goes_on() -> None:
    async def scenario(serving: Serving, steering: FakeSteering) -> None:
        for paused in (True, False):
            status, answer = await ask(serving, "PATCH", "/v1/sources/desk", {"paused": paused})
            assert (status, answer["paused"], len(answer["changed"])) == (200, paused, 1)

    steered(scenario)


def test_a_part_that_does_not_answer_is_told_in_a_sentence_with_the_time_to_try_again() -> None:
    async def scenario(serving: Serving, steering: FakeSteering) -> None:
        steering.stuck = "the segmenter thread has made no round for 10 s: is the machine too busy?"
        status, headers, body = await exchange(serving, "POST", "/v1/reload")
        assert (status, body) == (503, {"error": steering.stuck})
        assert "retry-after: 5\r\n" in f"{headers}\r\n"

    steered(scenario)


def test_a_reload_needs_no_body_and_names_what_needs_a_restart() -> None:
    async def scenario(serving: Serving, steering: FakeSteering) -> None:
        for content in (b"", b"{}"):
            assert await ask(serving, "POST", "/v1/reload", content) == (
                200,
                {"changed": [], "restart": ["server.listen"]},
            )
        assert await ask(serving, "POST", "/v1/reload", {"now": 1}) == (400, {"error": "now: a reload takes no field"})
        steering.broken = "earmark.toml: not valid TOML: line 3"
        assert await ask(serving, "POST", "/v1/reload") == (400, {"error": steering.broken})

    assert steered(scenario).reloads == 2


@pytest.mark.parametrize(
    ("path", "content", "status", "told"),
    [
        ("/v1/classifiers/emotoin", {}, 404, "there is no classifier 'emotoin'; did you mean emotion?"),
        ("/v1/sources/desc", {}, 404, "there is no source 'desc'; did you mean desk?"),
        ("/v1/classifiers/emotion", {"hop": 1}, 400, "hop: a PATCH cannot change it"),
        ("/v1/classifiers/emotion", {"decide": {"on": 2}}, 400, "decide: "),
        ("/v1/classifiers/emotion", [], 400, "the body is not a JSON object"),
        ("/v1/sources/desk", {"paused": "yes"}, 400, "paused: it must be true or false"),
    ],
)
def test_each_refusal_names_what_is_wrong(path: str, content: object, status: int, told: str) -> None:
    async def scenario(serving: Serving, steering: FakeSteering) -> None:
        answered, answer = await ask(serving, "PATCH", path, content)
        assert (answered, answer["error"].startswith(told)) == (status, True), answer

    steered(scenario)


def test_only_small_json_that_comes_as_it_is_is_read() -> None:
    async def scenario(serving: Serving, steering: FakeSteering) -> None:
        path = "/v1/sources/desk"
        for form in ("application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x", ""):
            status, answer = await ask(serving, "PATCH", path, {"paused": True}, content_type=form)
            assert (status, answer["error"].startswith("Content-Type: ")) == (415, True)
            assert (await ask(serving, "POST", "/v1/reload", content_type=form))[0] == 415
        assert (await ask(serving, "PATCH", path, {"paused": True}, content_encoding="gzip"))[0] == 415
        assert (await ask(serving, "PATCH", path, b" " * (MAX_BYTES + 1)))[0] == 413
        status, answer = await ask(serving, "PATCH", path, b'{"paused":')
        assert (status, answer["error"].startswith("the body is not JSON: ")) == (400, True)
        assert (await ask(serving, "PATCH", path, b"[" * 60_000))[0] == 400
        status, answer = await ask(serving, "PATCH", path, b'{"paused":"\xff"}')
        assert (status, answer["error"]) == (400, "the body is not JSON: it is not UTF-8")
        assert not steering.paused
        assert (await ask(serving, "PATCH", path, {"paused": True}, content_type=f"{JSON}; charset=utf-8"))[0] == 200

    steered(scenario)


FOREIGN = [
    {"origin": "https://evil.example"},  # a foreign page
    {"origin": "null"},  # a page without an origin, as in a sandboxed frame
    {"origin": "http://127.0.0.1:1"},  # a page of another program on this machine
    {"host": "evil.example"},  # another name that points here (DNS rebinding)
    {"host": "evil.example", "origin": "http://evil.example"},
    {"host": "kiosk.local"},  # what is allowed may look, and change nothing
    {"origin": "https://dashboard.example"},
    {"host": ""},
]


@pytest.mark.parametrize("headers", FOREIGN)
def test_without_tokens_foreign_pages_and_names_change_nothing(headers: dict[str, str]) -> None:
    async def scenario(serving: Serving, steering: FakeSteering) -> None:
        for method, path in (("PATCH", "/v1/sources/desk"), ("POST", "/v1/reload"), ("POST", "//v1/reload/")):
            status, answer = await ask(serving, method, path, {"paused": True}, **headers)
            assert (status, bool(answer["error"])) in ((403, True), (400, True)), answer
        assert (steering.paused, steering.reloads) == (False, 0)

    allowed = Server(
        listen="127.0.0.1:0", allow_hosts=("kiosk.local",), allow_origins=("https://dashboard.example", "null")
    )
    steered(scenario, allowed)


def test_looking_follows_the_rule_of_all_other_routes() -> None:
    async def scenario(serving: Serving, steering: FakeSteering) -> None:
        for path in ("/v1/sources", "/v1/classifiers/emotion"):
            for allowed in ({"host": "kiosk.local"}, {"origin": "https://dashboard.example"}, {"content_type": ""}):
                assert (await ask(serving, "GET", path, **allowed))[0] == 200
            for foreign in ({"host": "evil.example"}, {"origin": "https://evil.example"}, {"origin": "null"}):
                assert (await ask(serving, "GET", path, **foreign))[0] == 403

    steered(
        scenario,
        Server(listen="127.0.0.1:0", allow_hosts=("kiosk.local",), allow_origins=("https://dashboard.example",)),
    )


def test_a_page_of_the_daemon_itself_may_change_it() -> None:
    async def scenario(serving: Serving, steering: FakeSteering) -> None:
        answer = await ask(serving, "PATCH", "/v1/sources/desk", {"paused": True}, origin=f"http://{serving.host}")
        assert (answer[0], steering.paused) == (200, True)

    steered(scenario)


def test_an_allowed_page_may_send_a_patch_and_no_other_is_told_so() -> None:
    async def scenario(serving: Serving, steering: FakeSteering) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", serving.server.port)
        for origin in ("https://dashboard.example", "https://evil.example"):
            writer.write(
                f"OPTIONS /v1/sources/desk HTTP/1.1\r\nhost: {serving.host}\r\norigin: {origin}\r\n\r\n".encode()
            )
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            allowed = origin == "https://dashboard.example"
            assert (f"access-control-allow-origin: {origin}\r\n" in head) is allowed
            assert (("allow-methods" in head) and "patch" in head.partition("allow-methods")[2]) is allowed
            assert "allow-origin: *" not in head
            if allowed:
                assert " 204 " in head
        writer.close()
        await writer.wait_closed()

    steered(scenario, Server(listen="127.0.0.1:0", allow_origins=("https://dashboard.example",)))


@pytest.fixture
def guarded(tmp_path: Path) -> Server:
    """A server with a token for everything, one for all but `admin`, and one without a name."""
    file = tmp_path / "tokens"
    boss, page = Token.of("boss-text", ALL_SCOPES, "boss"), Token.of("page-text", ALL_SCOPES - {"admin"}, "page")
    file.write_text(f"{token_lines.line(boss)}\n{token_lines.line(page)}\nplain-text\n")
    file.chmod(0o600)
    return Server(
        listen="127.0.0.1:0",
        token_file=str(file),
        allow_hosts=("kiosk.local",),
        allow_origins=("https://dashboard.example",),
    )


def test_with_tokens_the_scope_admin_alone_changes_the_daemon(
    guarded: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "earmark.audit")

    async def scenario(serving: Serving, steering: FakeSteering) -> None:
        async def patch(paused: bool, **headers: str) -> tuple[int, Any]:
            return await ask(serving, "PATCH", "/v1/sources/desk", {"paused": paused}, **headers)

        assert (await patch(True))[0] == 401
        for token in ("page-text", "plain-text"):
            refused = await patch(True, authorization=f"Bearer {token}")
            assert refused == (403, {"error": "This token does not allow `admin`"})
            assert (await ask(serving, "GET", "/v1/sources", authorization=f"Bearer {token}"))[0] == 200
        assert not steering.paused
        boss = "Bearer boss-text"
        assert (await patch(True, authorization=boss, host="kiosk.local"))[0] == 200
        assert (await patch(False, authorization=boss, origin="https://dashboard.example"))[0] == 200
        assert (await patch(True, authorization=boss, origin="https://evil.example"))[0] == 403
        assert not steering.paused

    steered(scenario, guarded)
    refused = "at 127.0.0.1 was refused PATCH /v1/sources/desk:"
    assert caplog.messages == [
        f"no token {refused} Authorization header is missing: this daemon wants `Authorization: Bearer TOKEN`",
        f'token "page" {refused} This token does not allow `admin`',
        f"a token without a name {refused} This token does not allow `admin`",
        'token "boss" at 127.0.0.1 changed source[desk].paused from false to true',
        'token "boss" at 127.0.0.1 changed source[desk].paused from true to false',
        f"token \"boss\" {refused} Origin: pages of 'https://evil.example' may not connect;"
        " server.allow_origins can add it",
    ]


def test_changes_reloads_and_refused_values_are_in_the_audit_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "earmark.audit")

    async def scenario(serving: Serving, steering: FakeSteering) -> None:
        await ask(serving, "PATCH", "/v1/classifiers/emotion", {"decide": {"on": 0.7}})
        await ask(serving, "POST", "/v1/reload")
        await ask(serving, "PATCH", "/v1/sources/desk", {"rate": 1})
        await ask(serving, "GET", "/v1/sources/none")

    steered(scenario)
    assert caplog.messages == [
        "no token at 127.0.0.1 changed classifier[emotion].decide.on from 0.8 to 0.7",
        "no token at 127.0.0.1 asked for a change, and there was none to make",
        "no token at 127.0.0.1 was refused PATCH /v1/sources/desk: rate: a PATCH cannot change it; only paused; write"
        " all else in the configuration, and reload",
    ]
