"""The AsyncAPI document before the parser of those who define the format."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from earmark.description.asyncapi import document
from tests.daemon import DEADLINE, ROOT

WEB = ROOT / "tests" / "web"


def test_the_asyncapi_parser_finds_nothing_wrong() -> None:
    if shutil.which("node") is None:
        pytest.skip("node is not installed (apt install nodejs)")
    if not (WEB / "node_modules" / "@asyncapi" / "parser").is_dir():
        pytest.skip("@asyncapi/parser is not installed (npm ci --prefix tests/web)")
    given = json.dumps(document("1.0.0"))

    done = subprocess.run(
        ["node", str(WEB / "asyncapi.mjs")], input=given, capture_output=True, text=True, timeout=DEADLINE, check=True
    )

    found = json.loads(done.stdout)
    errors_and_warnings = [each for each in found["said"] if each["severity"] < 2]
    assert errors_and_warnings == []
    assert found["channels"] == ["/v1/events", "/v1/audio"]
    assert {"hello", "result", "label", "subscribe", "sound"} <= set(found["messages"])
