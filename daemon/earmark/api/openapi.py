"""The HTTP API as an OpenAPI 3.1 document, written from the types that requests are read with."""

from __future__ import annotations

from typing import Any

import msgspec

from earmark.api.request import ClipRequest, ErrorBody, Status
from earmark.config.settings import Function
from earmark.inference.registry import ModelInfo
from earmark.protocol import endpoints
from earmark.protocol.events import Score

REFUSALS = {
    "400": "Not audio, not base64, or a wrong parameter; the sentence says which",
    "401": "A token is needed, or this one is wrong",
    "403": "The token lacks the scope `classify`, or a foreign page asks",
    "404": "There is no such model",
    "408": "The body came too slowly",
    "413": "The body or the decoded audio is over a limit",
    "415": "The Content-Encoding is none of gzip, deflate and identity",
    "422": "The model process died twice on this clip",
    "429": "Too many requests are waiting; see Retry-After",
    "500": "The model cannot be served; the sentence says why",
    "503": "The model is loading (see estimated_time), or died on this clip (see Retry-After)",
}
NUMBER, STRING = {"type": "number"}, {"type": "string"}
HEADERS = {
    "x-compute-type": ("What the model runs on: cpu, cuda or mps", STRING),
    "x-compute-time": ("Seconds of decoding, waiting and computing; absent where the answer was kept", NUMBER),
    "x-compute-audio-length": ("Seconds of the clip", NUMBER),
    "x-audio-warning": ("What was wrong with the clip, and how much of it was heard; absent if nothing was", STRING),
}


def document(release: str) -> dict[str, Any]:
    """Return the document of these routes."""
    types = [ClipRequest, ErrorBody, list[Score], list[ModelInfo], Function, Status]
    schemas, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    clip, error, scores, models, function, status = schemas
    post = _post(clip, error, scores, function)
    ask = {"post": {**post, "operationId": "classify"}}
    model = _parameter("model", "path", STRING, "A model's id, ORG/NAME, or an alias; the slash stands as it is")
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Earmark",
            "version": release,
            "description": "Audio classification in the shapes of the Hugging Face Inference API.",
        },
        "paths": {
            "/": {
                "post": {
                    **post,
                    "operationId": "classifyByDefault",
                    "summary": "Classify a clip with the default model",
                }
            },
            "/models/{model}": {**ask, "parameters": [model]},
            "/models/{model}/pipeline/audio-classification": _same("classifyByTask", post, model),
            "/pipeline/audio-classification/{model}": _same("classifyByPipeline", post, model),
            "/models/{model}/pipeline/zero-shot-audio-classification": _same("classifyLabelsByTask", post, model),
            "/pipeline/zero-shot-audio-classification/{model}": _same("classifyLabelsByPipeline", post, model),
            "/hf-inference/models/{model}": _same("classifyByProvider", post, model),
            "/status/{model}": {
                "parameters": [model],
                "get": _get("status", "Whether the model is loaded", status, error),
            },
            endpoints.MODELS: {"get": _get("models", "All models, loaded or not", models)},
        },
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def _post(clip: object, error: object, scores: object, function: object) -> dict[str, Any]:
    answers: dict[str, Any] = {
        status: {"description": text, "content": {"application/json": {"schema": error}}}
        for status, text in REFUSALS.items()
    }
    answers["200"] = {
        "description": "Labels by falling score",
        "headers": {name: {"description": text, "schema": schema} for name, (text, schema) in HEADERS.items()},
        "content": {"application/json": {"schema": scores}},
    }
    audio = {"schema": {"type": "string", "format": "binary"}}
    yes = {"type": "boolean"}
    return {
        "summary": "Classify a clip",
        "parameters": [
            _parameter("top_k", "query", {"type": "integer", "minimum": 0}, "As in the body, which goes before it"),
            _parameter("function_to_apply", "query", function, "As in the body, which goes before it"),
            _parameter("candidate_labels", "query", STRING, "Labels between commas, for a model that takes them"),
            _parameter("hypothesis_template", "query", STRING, "The text that it reads for each, with {} in it"),
            _parameter("x-use-cache", "header", yes, "false: compute it anew"),
            _parameter("x-wait-for-model", "header", yes, "true: wait while the model is loading, instead of 503"),
            _parameter("x-load-model", "header", {"enum": ["0", "1"]}, "0: do not begin to load the model"),
        ],
        "requestBody": {
            "required": True,
            "description": "An audio file as it is, or JSON; the Content-Type is a hint",
            "content": {"audio/*": audio, "application/octet-stream": audio, "application/json": {"schema": clip}},
        },
        "responses": dict(sorted(answers.items())),
    }


def _same(identity: str, post: dict[str, Any], model: object) -> dict[str, Any]:
    return {"post": {**post, "operationId": identity}, "parameters": [model]}


def _get(identity: str, summary: str, schema: object, error: object = None) -> dict[str, Any]:
    answers = {"200": {"description": summary, "content": {"application/json": {"schema": schema}}}}
    if error is not None:
        answers["404"] = {"description": REFUSALS["404"], "content": {"application/json": {"schema": error}}}
    return {"operationId": identity, "summary": summary, "responses": answers}


def _parameter(name: str, place: str, schema: object, text: str) -> dict[str, Any]:
    return {"name": name, "in": place, "required": place == "path", "schema": schema, "description": text}
