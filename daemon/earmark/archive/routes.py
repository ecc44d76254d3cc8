"""The HTTP routes of kept clips: to list them, to hear one, and to delete."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Route

from earmark.access.audit import CALLER, Audit
from earmark.archive.archive import Archive
from earmark.archive.kept_clip import ENDING
from earmark.archive.query import parse_query
from earmark.errors import ArchiveError, RequestError, SubscriptionError
from earmark.protocol.endpoints import CLIPS
from earmark.server.responses import error_response, json_response

MAX_QUOTED = 100
NO_CLIP = "there is no clip {}: it is still being written, was deleted, or was not kept"
HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}  # what people said is in no cache

Endpoint = Callable[[Request], Awaitable[Response]]


class KeptClips:
    """The routes over the archive. What is deleted goes to the audit log. `utc` is the wall clock."""

    def __init__(self, archive: Archive, audit: Audit, utc: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._archive = archive
        self._audit = audit
        self._utc = utc

    def routes(self) -> list[BaseRoute]:
        """Return all of them."""
        one = f"{CLIPS}/{{id}}"
        return [
            Route(CLIPS, _refusing(self._list)),
            Route(CLIPS, _refusing(self._delete), methods=["DELETE"]),
            Route(one, _refusing(self._hear)),
            Route(one, _refusing(self._delete_one), methods=["DELETE"]),
        ]

    async def _list(self, request: Request) -> Response:
        query = parse_query(request.query_params.multi_items(), self._utc)
        clips, following = await asyncio.to_thread(self._archive.search, query)
        return json_response({"next": following, "clips": clips}, headers=HEADERS)

    async def _hear(self, request: Request) -> Response:
        identity = request.path_params["id"]
        file = await asyncio.to_thread(self._archive.file, identity)
        if file is None:
            raise RequestError(404, NO_CLIP.format(identity[:MAX_QUOTED]))
        return FileResponse(
            file,
            headers=HEADERS,
            media_type="audio/flac",
            filename=f"{identity}{ENDING}",
            stat_result=await asyncio.to_thread(os.stat, file),
            content_disposition_type="inline",
        )

    async def _delete(self, request: Request) -> Response:
        query = parse_query(request.query_params.multi_items(), self._utc, paging=False)
        deleted = await asyncio.to_thread(self._archive.delete, query)
        self._audit.did(request.scope["state"][CALLER], f"deleted {deleted} clips")
        return json_response({"deleted": deleted})

    async def _delete_one(self, request: Request) -> Response:
        identity = request.path_params["id"]
        deleted = await asyncio.to_thread(self._archive.delete, [identity])
        if not deleted:
            raise RequestError(404, NO_CLIP.format(identity[:MAX_QUOTED]))
        self._audit.did(request.scope["state"][CALLER], f"deleted the clip {identity}")
        return json_response({"deleted": deleted})


def _refusing(endpoint: Endpoint) -> Endpoint:
    """Return `endpoint` with each error made into a response."""

    async def refusing(request: Request) -> Response:
        try:
            return await endpoint(request)
        except SubscriptionError as error:
            return error_response(str(error), 400)
        except RequestError as error:
            return error_response(str(error), error.status)
        except ArchiveError as error:
            return error_response(str(error), 500)
        except FileNotFoundError:
            return error_response(NO_CLIP.format(request.path_params["id"][:MAX_QUOTED]), 404)

    return refusing
