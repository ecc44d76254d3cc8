"""Clients that must work unchanged: the real ones, and the requests that they and older ones put on the wire."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.posting import COMMANDS, LABELS, Client, encoded, word

FLAC = encoded(word("yes"), form="FLAC")
INSTALL_SECONDS = 120


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file: Path = tmp_path_factory.mktemp("clip") / "sample1.flac"
    file.write_bytes(FLAC)
    return file


@pytest.fixture(scope="module")
def right(client: Client) -> dict[str, float]:
    return client.post(FLAC).scores


def output(*command: str, cwd: Path | None = None) -> Any:
    """Run a program and return the JSON that it prints."""
    # what other tests import sets the offline variables, which forbid huggingface_hub even this machine
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_OFFLINE")}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=cwd, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def scores(found: list[dict[str, Any]]) -> dict[str, float]:
    return {item["label"]: item["score"] for item in found}


# ---- curl ----


def test_curl_as_documented(client: Client, clip: Path, right: dict[str, float]) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    url = f"http://{client.address}{COMMANDS}"
    sent = ["curl", "-s", "--noproxy", "*", url, "-X", "POST", "--data-binary", f"@{clip}"]
    assert scores(output(*sent, "-H", "Authorization: Bearer hf_xxx")) == right
    assert scores(output(*sent, "-H", "Expect: 100-continue")) == right
    assert scores(output("curl", "-s", "--noproxy", "*", url, "-F", f"file=@{clip}")) == right


def test_curl_s_requests(client: Client, right: dict[str, float]) -> None:
    headers = {"user-agent": "curl/8.5.0", "accept": "*/*", "content-type": "application/x-www-form-urlencoded"}
    assert client.ask("POST", COMMANDS, FLAC, headers).scores == right


# ---- requests and huggingface_hub 0.23, which need an environment of their own ----

DOCUMENTED = """
import json, requests, sys

API_URL = sys.argv[1]
headers = {"Authorization": "Bearer hf_xxx"}

def query(filename):
    with open(filename, "rb") as f:
        data = f.read()
    response = requests.request("POST", API_URL, headers=headers, data=data)
    return json.loads(response.content.decode("utf-8"))

print(json.dumps(query(sys.argv[2])))
"""

HUB = """
import json, sys
from huggingface_hub import InferenceClient, __version__
client = InferenceClient(model=sys.argv[1], token="hf_xxx")
ask = client.audio_classification
with open(sys.argv[2], "rb") as file:
    content = file.read()
more = [] if sys.argv[3] == "plain" else [
    ask(content, top_k=2), ask(content, function_to_apply="sigmoid"), ask(content, top_k=3, function_to_apply="none")
]
found = [ask(sys.argv[2]), ask(content), *more]
print(json.dumps([[{"label": item["label"], "score": item["score"]} for item in each] for each in found]))
"""

STATUS = """
import json, os, sys
os.environ["HF_INFERENCE_ENDPOINT"] = sys.argv[1]
from huggingface_hub import InferenceClient
client = InferenceClient()
status = client.get_model_status("earmark/commands")
best = client.audio_classification(sys.argv[2], model="earmark/commands")[0]["label"]
print(json.dumps([status.loaded, status.state, status.framework, best]))
"""


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Make a Python with requests and huggingface_hub 0.23."""
    folder: Path = tmp_path_factory.mktemp("old")
    try:
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, capture_output=True, timeout=60)
        python = str(folder / "bin" / "python")
        subprocess.run(
            [python, "-m", "pip", "install", "--quiet", "huggingface_hub==0.23.0", "requests"],
            check=True,
            capture_output=True,
            timeout=INSTALL_SECONDS,
        )
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"huggingface_hub 0.23 cannot be installed here: {error}")
    return python


def test_the_documented_requests_snippet(client: Client, clip: Path, right: dict[str, float], old: str) -> None:
    found = output(old, "-c", DOCUMENTED, f"http://{client.address}{COMMANDS}", str(clip))
    assert scores(found) == right


def test_huggingface_hub_0_23(client: Client, clip: Path, right: dict[str, float], old: str) -> None:
    found = output(old, "-c", HUB, f"http://{client.address}{COMMANDS}", str(clip), "plain")
    assert [scores(each) for each in found] == [right, right]


def test_huggingface_hub_as_installed(client: Client, clip: Path, right: dict[str, float]) -> None:
    found = output(sys.executable, "-c", HUB, f"http://{client.address}{COMMANDS}", str(clip), "all")
    assert [scores(each) for each in found[:2]] == [right, right]
    assert [len(each) for each in found] == [len(LABELS), len(LABELS), 2, len(LABELS), 3]
    assert scores(found[2]) == dict(list(right.items())[:2])
    assert scores(found[3]) == client.post(FLAC, COMMANDS + "?function_to_apply=sigmoid").scores
    assert [item["label"] for item in found[4]] == list(right)[:3]


def test_huggingface_hub_0_23_with_its_endpoint_changed_and_its_status(client: Client, clip: Path, old: str) -> None:
    found = output(old, "-c", STATUS, f"http://{client.address}", str(clip))
    assert found == [True, "Loaded", "transformers", "yes"]


def test_the_requests_of_the_requests_library(client: Client, right: dict[str, float]) -> None:
    headers = {"user-agent": "python-requests/2.32", "accept": "*/*", "connection": "keep-alive"}
    assert client.ask("POST", COMMANDS, FLAC, headers).scores == right


def test_the_requests_of_huggingface_hub_0_29_to_0_34(client: Client, right: dict[str, float]) -> None:
    """Those versions send JSON without a Content-Type, and parse a status."""
    body = json.dumps({"inputs": base64.b64encode(FLAC).decode(), "parameters": {"top_k": 2}}).encode()
    reply = client.ask("POST", COMMANDS, body, {"user-agent": "unknown/None; hf_hub/0.29.0", "accept": "*/*"})
    assert reply.scores == dict(list(right.items())[:2])
    status = client.get("/status/earmark/commands").json
    assert {"loaded", "state", "compute_type", "framework"} <= set(status)
    assert "error" not in status


# ---- @huggingface/inference ----

SCRIPT = """
import { audioClassification } from "@huggingface/inference";
import { readFileSync } from "node:fs";
const [url, file] = process.argv.slice(2);
const data = new Blob([readFileSync(file)]);
const plain = await audioClassification({ endpointUrl: url, data });
const query = await audioClassification({ endpointUrl: url + "?top_k=2&function_to_apply=sigmoid", data });
const inputs = await audioClassification({ endpointUrl: url, inputs: data, parameters: { top_k: 3 } });
console.log(JSON.stringify([plain, query, inputs]));
"""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder in which @huggingface/inference is installed."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        pytest.skip("node and npm are not installed")
    folder: Path = tmp_path_factory.mktemp("node")
    (folder / "ask.mjs").write_text(SCRIPT)
    command = ["npm", "install", "--silent", "--no-audit", "--no-fund", "@huggingface/inference"]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=INSTALL_SECONDS, cwd=folder)
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"@huggingface/inference cannot be installed here: {error}")
    return folder


def test_the_javascript_client(client: Client, clip: Path, right: dict[str, float], node: Path) -> None:
    url = f"http://{client.address}{COMMANDS}"
    plain, query, inputs = output("node", str(node / "ask.mjs"), url, str(clip), cwd=node)
    assert scores(plain) == pytest.approx(right, abs=1e-9)
    assert scores(query) == client.post(FLAC, COMMANDS + "?top_k=2&function_to_apply=sigmoid").scores
    assert next(iter(scores(inputs))) == "yes"


@pytest.mark.parametrize("kind", ["audio/flac", "application/json", "application/octet-stream", ""])
def test_the_requests_of_the_javascript_clients(client: Client, right: dict[str, float], kind: str) -> None:
    headers = {"user-agent": "@huggingface/inference/4.13.30", "content-type": kind, "sec-fetch-mode": "cors"}
    assert client.ask("POST", COMMANDS, FLAC, headers).scores == right
