"""Routes of the HTTP API: the paths, their other spellings, and the contents of those that show something."""

from __future__ import annotations

import http.client

import pytest

from earmark.answers.sent import PARAMETERS
from tests.posting import COMMANDS, LABELS, Client, encoded, noisy, word

CLIP = encoded(word("yes"))


@pytest.mark.parametrize(
    "path",
    [
        "/models/earmark/commands",
        "/pipeline/audio-classification/earmark/commands",
        "/models/earmark/commands/pipeline/audio-classification",
        "/hf-inference/models/earmark/commands",
        "/models/earmark%2Fcommands",
        "/",
    ],
)
@pytest.mark.parametrize("slash", ["", "/"])
def test_each_spelling_classifies_with_a_trailing_slash_too(client: Client, path: str, slash: str) -> None:
    assert client.post(CLIP, path if path == "/" else path + slash).labels[0] == "yes"


def test_a_model_without_an_organisation_and_an_alias_is_found(client: Client) -> None:
    assert (
        client.post(CLIP, "/models/short", x_wait_for_model="true").labels
        == client.post(CLIP, "/models/acme/cached").labels
    )


def test_status_tells_whether_a_model_is_loaded(client: Client) -> None:
    assert client.get("/status/earmark/commands").json == {
        "loaded": True,
        "state": "Loaded",
        "compute_type": "cpu",
        "framework": "transformers",
    }
    missing = client.get("/status/nobody/nothing")
    assert missing.status == 404
    assert missing.error.startswith("Model nobody/nothing does not exist; there are ")
    assert client.get("/status/acme/later").json | {"compute_type": ""} == {
        "loaded": False,
        "state": "Loadable",
        "compute_type": "",
        "framework": "transformers",
    }


def test_health_is_200_and_info_tells_what_is_loaded_and_versions(client: Client) -> None:
    assert client.get("/health").status == 200
    assert client.get(COMMANDS + "/health").status == 200  # where huggingface_hub's health_check asks
    info = client.get("/info").json
    assert "earmark/commands" in info["models"]["loaded"]
    assert {"python", "torch", "transformers"} <= set(info["versions"])


def test_the_list_of_models_tells_everything_about_each(client: Client) -> None:
    listed = {model["id"]: model for model in client.get("/v1/models").json}
    embedded = listed["earmark/commands"]
    assert (embedded["origin"], embedded["state"], embedded["default"]) == ("embedded", "loaded", True)
    assert (embedded["rate"], embedded["labels"], embedded["bytes"] > 10**6) == (16000, list(LABELS), True)
    assert embedded["licence"] == "cc-by-4.0"
    assert listed["earmark/emotion"]["licence"] == "cc-by-nc-sa-4.0"
    cached = listed["acme/cached"]
    assert (cached["origin"], cached["aliases"]) == ("hub", ["short"])
    assert cached["revision"] == "0123456789abcdef0123456789abcdef01234567"
    absent = listed["acme/absent"]
    assert (absent["state"], "earmark pull acme/absent" in absent["why"]) == ("refused", True)
    assert listed["acme/later"]["state"] == "not loaded"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", COMMANDS, {"POST"}),
        ("PUT", COMMANDS, {"POST"}),
        ("DELETE", "/pipeline/audio-classification/earmark/commands", {"POST"}),
        ("PATCH", "/", {"GET", "HEAD", "POST"}),
        ("POST", "/health", {"GET", "HEAD"}),
        ("POST", "/status/earmark/commands", {"GET", "HEAD"}),
        ("HEAD", COMMANDS, {"POST"}),
    ],
)
def test_a_known_path_with_a_wrong_method_is_405_with_allow(
    client: Client, method: str, path: str, allowed: set[str]
) -> None:
    reply = client.ask(method, path)
    assert (reply.status, set(reply.headers["allow"].split(", "))) == (405, allowed)


@pytest.mark.parametrize("path", ["/nowhere", "/models", "/v1/other", "/pipeline/text-classification/earmark/commands"])
def test_an_unknown_path_is_404_and_says_so_in_json(client: Client, path: str) -> None:
    reply = client.post(CLIP, path)
    assert reply.status == 404
    assert reply.error


def test_head_has_the_headers_and_no_body(client: Client) -> None:
    reply = client.ask("HEAD", "/health")
    assert (reply.status, reply.body) == (200, b"")


def test_options_answers_anywhere_and_shares_the_compute_headers_with_allowed_origins(client: Client) -> None:
    for path in (COMMANDS, "/", "/info", "/nowhere"):
        asked = {"Origin": "https://dashboard.example", "Access-Control-Request-Method": "POST"}
        reply = client.ask("OPTIONS", path, headers=asked)
        assert reply.status == 204
        assert reply.headers["access-control-allow-origin"] == "https://dashboard.example"
        assert "POST" in reply.headers["access-control-allow-methods"]
        assert "authorization" in reply.headers["access-control-allow-headers"]
    assert "POST" in client.ask("OPTIONS", COMMANDS).headers["allow"]


def test_an_allowed_page_may_read_the_answer_and_its_headers_and_no_other_page(client: Client) -> None:
    shared = client.post(CLIP, origin="https://dashboard.example")
    exposed = set(shared.headers["access-control-expose-headers"].split(", "))
    clips = {"x-compute-type", "x-compute-time", "x-compute-audio-length", "x-audio-warning"}
    assert exposed == clips | {"link", "x-earmark-epoch", "x-earmark-oldest", "x-earmark-next"}
    assert shared.headers["access-control-allow-origin"] == "https://dashboard.example"
    assert "access-control-allow-origin" not in client.post(CLIP).headers
    foreign = client.post(CLIP, origin="https://evil.example")
    assert (foreign.status, "access-control-allow-origin" in foreign.headers) == (403, False)
    assert "Origin" in foreign.error


def test_one_connection_serves_many_requests(client: Client) -> None:
    connection = http.client.HTTPConnection(client.address, timeout=30)
    for number in range(3):
        connection.request("POST", COMMANDS, encoded(noisy(0.5, number)))
        with connection.getresponse() as answer:
            assert (answer.status, answer.will_close) == (200, False)
            answer.read()
    connection.close()


def test_openapi_is_written_from_the_types(client: Client) -> None:
    schemas = client.get("/openapi.json").json["components"]["schemas"]
    assert set(schemas["Parameters"]["properties"]) == {*PARAMETERS}
    assert list(schemas["Score"]["properties"]) == ["score", "label"]
