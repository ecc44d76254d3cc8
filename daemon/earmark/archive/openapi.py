"""The routes of kept clips, for the daemon's OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from earmark.archive.kept_clip import KeptClip
from earmark.history.request import DEFAULT_LIMIT, MAX_LIMIT
from earmark.protocol.endpoints import CLIPS

STRING = {"type": "string"}
REFUSALS = {
    "400": "A wrong parameter; the sentence names it",
    "401": "A token is needed, or this one is wrong",
    "403": "The token lacks the scope, or without tokens: another machine or a foreign page asks",
    "404": "There is no such clip: it is still being written, was deleted, or was not kept",
    "416": "The range is not within the clip",
    "500": "The file cannot be deleted",
}
FILTERS = {
    "sources": "Only clips of these sources, separated by commas",
    "classifiers": "Only clips of these classifiers",
    "labels": "Only clips of these labels",
    "from": "Only clips of this time or later: RFC 3339, seconds since 1970, or how long ago: -10m",
    "to": "Only clips from before this time",
}
PAGING = {
    "cursor": "The page that follows another one; see its `next`",
    "limit": f"Clips in a page, 1 to {MAX_LIMIT}; {DEFAULT_LIMIT} without it",
}


def with_clips(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return an OpenAPI document with the routes of this package added to its own."""
    (clip,), components = msgspec.json.schema_components([KeptClip], ref_template="#/components/schemas/{name}")
    own = document["components"]
    merged = {**own, "schemas": {**own["schemas"], **components}}
    return {**document, "paths": {**document["paths"], **_paths(clip)}, "components": merged}


def _paths(clip: object) -> dict[str, Any]:
    following = {"type": ["string", "null"], "description": "The cursor of the next page"}
    page = _object({"next": following, "clips": {"type": "array", "items": clip}})
    deleted = _object({"deleted": {"type": "integer", "description": "How many clips were deleted"}})
    sound = {"audio/flac": {"schema": {"type": "string", "contentMediaType": "audio/flac"}}}
    heard = _operation("clip", "The sound of a label, as FLAC", sound, "401", "403", "404", "416")
    heard["responses"]["206"] = {"description": "The range that was asked for", "content": sound}
    identity = {"name": "id", "in": "path", "required": True, "schema": STRING, "description": "The id of the label"}
    return {
        CLIPS: {
            "get": {
                **_operation("clips", "Kept clips, newest first; scope `clips`", page, "400", "401", "403"),
                "parameters": _parameters(FILTERS | PAGING),
            },
            "delete": {
                **_operation("deleteClips", "Delete clips: all, or those chosen", deleted, "400", "401", "403", "500"),
                "parameters": _parameters(FILTERS),
            },
        },
        f"{CLIPS}/{{id}}": {
            "parameters": [identity],
            "get": heard,
            "delete": _operation("deleteClip", "Delete a clip", deleted, "401", "403", "404", "500"),
        },
    }


def _object(properties: Mapping[str, object]) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return {"application/json": {"schema": schema}}


def _parameters(names: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"name": name, "in": "query", "schema": STRING, "description": text} for name, text in names.items()]


def _operation(identity: str, summary: str, content: object, *refusals: str) -> dict[str, Any]:
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorBody"}}}
    told = {status: {"description": REFUSALS[status], "content": error} for status in refusals}
    return {
        "operationId": identity,
        "summary": summary,
        "responses": {"200": {"description": "OK", "content": content}, **told},
    }
