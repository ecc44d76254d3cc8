"""How the page is served."""

from __future__ import annotations

import gzip

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from earmark.server.routes import show_root
from earmark.web.files import File, Page
from earmark.web.routes import POLICY, page_routes

SCRIPT = b"let words = 'words words words words'"
PAGE = Page(b"<html>", "abc123", {"app.js": File(SCRIPT, "text/javascript")})
BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture
def client() -> TestClient:
    return TestClient(Starlette(routes=page_routes(show_root, PAGE)))


def test_a_browser_gets_the_page_and_a_program_what_it_got_before(client: TestClient) -> None:
    shown, told = client.get("/", headers=BROWSER), client.get("/", headers={"accept": "*/*"})

    assert (shown.text, shown.headers["content-type"]) == ("<html>", "text/html; charset=utf-8")
    assert told.json()["name"] == "earmark"
    assert shown.headers["vary"] == told.headers["vary"] == "accept"


def test_the_page_may_load_from_its_own_origin_alone(client: TestClient) -> None:
    policy = client.get("/", headers=BROWSER).headers["content-security-policy"]

    assert policy == POLICY
    assert policy == (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def test_a_file_is_kept_for_ever_because_its_name_changes_with_its_content(client: TestClient) -> None:
    found, old = client.get("/page/abc123/app.js"), client.get("/page/000000/app.js")

    assert found.content == SCRIPT
    assert found.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert old.status_code == 404
    assert "cache-control" not in old.headers


def test_the_index_is_asked_for_each_time_and_sent_when_it_has_changed(client: TestClient) -> None:
    first = client.get("/", headers=BROWSER)
    again = client.get("/", headers=BROWSER | {"if-none-match": first.headers["etag"]})

    assert first.headers["cache-control"] == "no-cache"
    assert (again.status_code, again.content) == (304, b"")


def test_a_file_is_packed_for_who_can_unpack_it(client: TestClient) -> None:
    plain = client.get("/page/abc123/app.js", headers={"accept-encoding": "identity"})
    packed = client.get("/page/abc123/app.js", headers={"accept-encoding": "gzip"})

    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content == SCRIPT
    assert int(packed.headers["content-length"]) == len(gzip.compress(SCRIPT))


def test_no_name_leads_out_of_the_folder(client: TestClient) -> None:
    for name in ("../files.py", "%2e%2e/files.py", "vendor", ""):
        assert client.get(f"/page/abc123/{name}").status_code == 404
