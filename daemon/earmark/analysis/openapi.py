"""The route of analysis, for the OpenAPI document of the daemon."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from earmark.analysis.question import MAX_NAME, SOURCE
from earmark.protocol.endpoints import ANALYZE

REFUSALS = {
    "400": "Not audio, or a wrong parameter; the sentence says which",
    "401": "A token is needed, or this one is wrong",
    "403": "The token lacks the scope `classify`, or a foreign page asks",
    "408": "The body came too slowly",
    "413": "The body or the decoded audio is over a limit of clips",
    "415": "The Content-Encoding is none of gzip, deflate and identity",
    "429": "Other recordings wait already; see Retry-After",
    "503": "A model is loading or does not answer; see Retry-After",
}
PARAMETERS = {
    "classifiers": ("Only these classifiers, separated by commas; all without it", {"type": "string"}),
    "source": (f"The name of the source in the events; {SOURCE} without it", {"type": "string", "maxLength": MAX_NAME}),
    "scores": ("all: results hold all labels, whatever `top_k` of the classifier is", {"enum": ["some", "all"]}),
}


def with_analysis(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document of the clip API with this route in it, which takes the same bodies."""
    error = {"schema": {"$ref": "#/components/schemas/ErrorBody"}}
    answers: dict[str, Any] = {
        status: {"description": text, "content": {"application/json": error}} for status, text in REFUSALS.items()
    }
    answers["200"] = {
        "description": "One event a line, while the recording is heard: hello, then the events of the stream, and"
        " `progress`. The last line is a `progress` whose `of` is `heard`, or an `error`.",
        "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
    }
    post = {
        "operationId": "analyze",
        "summary": "What the stream would have said of a recording",
        "parameters": [
            {"name": name, "in": "query", "required": False, "description": text, "schema": schema}
            for name, (text, schema) in PARAMETERS.items()
        ],
        "requestBody": document["paths"]["/"]["post"]["requestBody"],
        "responses": dict(sorted(answers.items())),
    }
    return {**document, "paths": {**document["paths"], ANALYZE: {"post": post}}}
