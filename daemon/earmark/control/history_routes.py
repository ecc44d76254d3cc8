"""The HTTP route of history: pages of events from what is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from earmark.broadcast.known import Known
from earmark.broadcast.sink import Published
from earmark.broadcast.subscription import Subscription
from earmark.errors import JournalError, SubscriptionError
from earmark.history.csv_rows import csv_text, labels_of
from earmark.history.kept import Kept, Page
from earmark.history.request import HistoryRequest, cursor_of, parse_request
from earmark.protocol.endpoints import EVENTS
from earmark.protocol.events import Hello, Label, Result
from earmark.server.responses import error_response

MEDIA_TYPES = {"json": "application/json", "ndjson": "application/x-ndjson", "csv": "text/csv; charset=utf-8"}


class History:
    """The route over what is kept. `hello` tells the names that exist, and `utc` is the wall clock."""

    def __init__(
        self, kept: Kept, hello: Callable[[], Hello], utc: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._kept = kept
        self._hello = hello
        self._utc = utc

    def routes(self) -> list[BaseRoute]:
        """Return the route at the path of the event stream, for requests that are no handshake."""
        return [Route(EVENTS, self._show)]

    async def _show(self, request: Request) -> Response:
        if "sec-websocket-key" in request.headers:
            text = "this is a handshake without `Upgrade: websocket`; a proxy on the way may have removed it"
            return error_response(text, 426, {"upgrade": "websocket", "connection": "upgrade"})
        parameters = request.query_params.multi_items()
        try:
            asked = parse_request(parameters, request.headers.get("accept", ""), self._kept, self._utc)
            page = await self._kept.search(asked.query)
            hello = self._hello()
            wanted = asked.query.filter
            if page.next is None and not asked.goes_on and not any(_bears_names(wanted, each) for each in page.events):
                Known.of(hello).check(wanted)  # what is kept may have names that are gone; a typo has not
        except SubscriptionError as error:
            return error_response(str(error), 400)
        except JournalError as error:
            return error_response(str(error), 503)
        epoch, oldest = self._kept.epoch, self._kept.oldest
        cursor = cursor_of(page, asked.query, epoch)
        content = await asyncio.to_thread(_content, asked, page, hello, epoch, oldest, cursor)
        headers = {"x-earmark-epoch": epoch, "x-earmark-oldest": str(oldest), "vary": "accept"}
        if cursor is not None:
            rest = [(name, value) for name, value in parameters if name != "cursor"]
            headers["x-earmark-next"] = cursor
            headers["link"] = f'<?{urlencode([*rest, ("cursor", cursor)])}>; rel="next"'
        return Response(content, headers=headers, media_type=MEDIA_TYPES[asked.format])


def _bears_names(wanted: Subscription, published: Published) -> bool:
    """Return whether an event has each kind of name by which the filter has chosen it. A `config` has none of them."""
    event = published.event
    return (
        (not wanted.sources or bool(getattr(event, "source", "")))
        and (not wanted.classifiers or bool(getattr(event, "classifier", "")))
        and (not wanted.labels or isinstance(event, Result | Label))
    )


def _content(asked: HistoryRequest, page: Page, hello: Hello, epoch: str, oldest: int, cursor: str | None) -> bytes:
    """Return the body of the answer. On a thread: a thousand rows of five hundred labels take their time."""
    wanted = asked.query.filter
    if asked.format == "csv":
        return csv_text(page.events, labels_of(hello.classifiers, wanted.classifiers), wanted.top_k).encode()
    texts = [text for published in page.events if (text := wanted.select(published)) is not None]
    if asked.format == "ndjson":
        return b"".join(text + b"\n" for text in texts)
    events = [msgspec.Raw(text) for text in texts]
    return msgspec.json.encode({"epoch": epoch, "oldest": oldest, "next": cursor, "events": events})
