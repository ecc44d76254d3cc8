"""A daemon as an object: its events, its past, its models and its settings, with and without asyncio."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Generator, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from earmark.protocol.events import Event, Score
from earmark_client import calls
from earmark_client.address import Filter, address
from earmark_client.answers import (
    Changed,
    ClassifierChanged,
    ClassifierStatus,
    Model,
    Readiness,
    SourceChanged,
    SourceStatus,
)
from earmark_client.arguments import names_of
from earmark_client.following.connection import OnFailure
from earmark_client.following.position import Position
from earmark_client.following.stream import AsyncEvents, Events, OnConnection, events, events_sync
from earmark_client.past import Moment, Pages, Question
from earmark_client.run import run, run_apart, run_async
from earmark_client.sender import Format, Sender

Clip = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO
"""A recording: the path of a file, its content, or an open file."""


PART_BYTES = 1 << 15  # of sound that are handed to the sender at once


class _Daemon:
    """Where a daemon is, and how one is admitted there."""

    def __init__(self, url: str | None = None, *, token: str | None = None, ca: str | None = None) -> None:
        """Take `HOST:PORT` or a URL; without it EARMARK_URL, or else this machine. Connects to nothing yet.

        `token`, or else EARMARK_TOKEN, is for daemons that require one. `ca`, or else EARMARK_CA, names the file of
        the authority to trust with TLS, instead of those of the system. Raises SubscriptionError for a wrong address.
        """
        self._url = url
        self._token = token
        self._ca = ca
        self._address = address(url, ca)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._address.host + self._address.prefix!r})"

    async def _send(
        self,
        source: str,
        pcm: bytes | Iterable[bytes],
        rate: int,
        channels: int,
        format: Format,
        on_failure: OnFailure | None,
    ) -> float:
        sender = Sender(
            source,
            self._url,
            rate=rate,
            channels=channels,
            format=format,
            token=self._token,
            ca=self._ca,
            on_failure=on_failure,
        )
        async with sender:
            for part in (pcm,) if isinstance(pcm, bytes) else pcm:
                for begin in range(0, len(part), PART_BYTES):
                    await sender.send(part[begin : begin + PART_BYTES])
        return sender.lost


class Client(_Daemon):
    """A daemon, for programs without asyncio. It works inside a running event loop too, as in a notebook.

    Every method raises ServerError if no daemon answers, and Refused (a ServerError) with the daemon's sentence if it
    does not do what it is asked.
    """

    def events(
        self,
        *,
        types: str | Iterable[str] | None = None,
        since: Position | str | None = None,
        position_file: str | os.PathLike[str] | None = None,
        reconnect: bool = True,
        on_connection: OnConnection | None = None,
        on_failure: OnFailure | None = None,
        **filters: Filter | None,
    ) -> Events:
        """Iterate over events as they happen: see events_sync()."""
        return events_sync(
            self._url,
            types=types,
            since=since,
            position_file=position_file,
            reconnect=reconnect,
            token=self._token,
            ca=self._ca,
            on_connection=on_connection,
            on_failure=on_failure,
            **filters,
        )

    def history(
        self,
        *,
        from_: Moment | None = None,
        to: Moment | None = None,
        since: Position | str | None = None,
        limit: int | None = None,
        **filters: Filter | None,
    ) -> Generator[Event, None, None]:
        """Yield events of the past, newest first, or in order those behind `since`; at most `limit`.

        `from_` and `to` are times. `filters` are those of events(): types, sources, classifiers, labels, min_score.
        Pages are fetched as they are needed.
        """
        pages = Pages(Question(filters, from_, to, since, limit), datetime.now(UTC))
        while (page := self._run(pages.next())) is not None:
            yield from page

    def classify(
        self,
        clip: Clip,
        *,
        model: str | None = None,
        top_k: int | None = None,
        function: str | None = None,
        labels: str | Iterable[str] | None = None,
        template: str | None = None,
    ) -> list[Score]:
        """Return the labels of a recording by falling score. Waits while the model is loading or the daemon is busy.

        `model` is one of models(), or the daemon's default. `function` makes scores of logits: `softmax`, `sigmoid` or
        `none`; without it, the model's own. `labels`, a collection or a text with commas between them, are for a model
        that takes its labels at run time; it reads each of them in the place of {} in `template`.
        """
        return self._run(_asked(clip, labels, model=model, top_k=top_k, function=function, template=template))

    def send(
        self,
        source: str,
        pcm: bytes | Iterable[bytes],
        *,
        rate: int = 16000,
        channels: int = 1,
        format: Format = "s16le",
        on_failure: OnFailure | None = None,
    ) -> float:
        """Send sound for a source of the kind `network`, and return the seconds of it that were lost.

        `pcm` is samples in `format` with `channels` interleaved, whole or in parts. It waits where the daemon takes no
        more, and for a lost connection: `on_failure` is called with the reason. Needs the scope `send`. See Sender for
        sound that cannot wait.
        """
        return run_apart(self._send(source, pcm, rate, channels, format, on_failure))

    def models(self) -> list[Model]:
        """Return the models that the daemon can use."""
        return self._run(calls.models())

    def info(self) -> dict[str, Any]:
        """Return what the daemon tells about itself: its version, counters, connections."""
        return self._run(calls.info())

    def ready(self) -> Readiness:
        """Return whether the daemon is ready, and what it lacks."""
        return self._run(calls.ready())

    def sources(self) -> list[SourceStatus]:
        """Return the sources, with their states and settings."""
        return self._run(calls.sources())

    def classifiers(self) -> list[ClassifierStatus]:
        """Return the classifiers, with the settings in force."""
        return self._run(calls.classifiers())

    def patch_source(self, name: str, *, paused: bool) -> SourceChanged:
        """Pause a source, or let it go on. Needs the scope `admin`."""
        return self._run(calls.patch_source(name, {"paused": paused}))

    def patch_classifier(
        self, name: str, *, decide: Mapping[str, object] | None = None, vad: Mapping[str, object] | None = None
    ) -> ClassifierChanged:
        """Change settings of a classifier until the next reload or restart. Needs the scope `admin`.

        `decide` and `vad` hold the settings of these names in the configuration; others stay. The answer has the lines
        that would keep the change. In `decide["labels"]`, None takes a label's own threshold away.
        """
        return self._run(calls.patch_classifier(name, _settings(decide=decide, vad=vad)))

    def reload(self) -> Changed:
        """Let the daemon read its configuration again. Needs the scope `admin`."""
        return self._run(calls.reload())

    def _run(self, steps: calls.Steps[calls.Content]) -> calls.Content:
        return run(steps, self._address, self._token)


class AsyncClient(_Daemon):
    """The same as Client, for programs with asyncio."""

    def events(
        self,
        *,
        types: str | Iterable[str] | None = None,
        since: Position | str | None = None,
        position_file: str | os.PathLike[str] | None = None,
        reconnect: bool = True,
        on_connection: OnConnection | None = None,
        on_failure: OnFailure | None = None,
        **filters: Filter | None,
    ) -> AsyncEvents:
        """Iterate over events as they happen: see the function events()."""
        return events(
            self._url,
            types=types,
            since=since,
            position_file=position_file,
            reconnect=reconnect,
            token=self._token,
            ca=self._ca,
            on_connection=on_connection,
            on_failure=on_failure,
            **filters,
        )

    async def history(
        self,
        *,
        from_: Moment | None = None,
        to: Moment | None = None,
        since: Position | str | None = None,
        limit: int | None = None,
        **filters: Filter | None,
    ) -> AsyncGenerator[Event, None]:
        """Yield events of the past: see Client.history()."""
        pages = Pages(Question(filters, from_, to, since, limit), datetime.now(UTC))
        while (page := await self._run(pages.next())) is not None:
            for event in page:
                yield event

    async def classify(
        self,
        clip: Clip,
        *,
        model: str | None = None,
        top_k: int | None = None,
        function: str | None = None,
        labels: str | Iterable[str] | None = None,
        template: str | None = None,
    ) -> list[Score]:
        """Return the labels of a recording by falling score: see Client.classify()."""
        return await self._run(_asked(clip, labels, model=model, top_k=top_k, function=function, template=template))

    async def send(
        self,
        source: str,
        pcm: bytes | Iterable[bytes],
        *,
        rate: int = 16000,
        channels: int = 1,
        format: Format = "s16le",
        on_failure: OnFailure | None = None,
    ) -> float:
        """Send sound for a source of the kind `network`: see Client.send(). Taking a part must not block."""
        return await self._send(source, pcm, rate, channels, format, on_failure)

    async def models(self) -> list[Model]:
        """Return the models that the daemon can use."""
        return await self._run(calls.models())

    async def info(self) -> dict[str, Any]:
        """Return what the daemon tells about itself: its version, counters, connections."""
        return await self._run(calls.info())

    async def ready(self) -> Readiness:
        """Return whether the daemon is ready, and what it lacks."""
        return await self._run(calls.ready())

    async def sources(self) -> list[SourceStatus]:
        """Return the sources, with their states and settings."""
        return await self._run(calls.sources())

    async def classifiers(self) -> list[ClassifierStatus]:
        """Return the classifiers, with the settings in force."""
        return await self._run(calls.classifiers())

    async def patch_source(self, name: str, *, paused: bool) -> SourceChanged:
        """Pause a source, or let it go on. Needs the scope `admin`."""
        return await self._run(calls.patch_source(name, {"paused": paused}))

    async def patch_classifier(
        self, name: str, *, decide: Mapping[str, object] | None = None, vad: Mapping[str, object] | None = None
    ) -> ClassifierChanged:
        """Change settings of a classifier until the next reload or restart: see Client.patch_classifier()."""
        return await self._run(calls.patch_classifier(name, _settings(decide=decide, vad=vad)))

    async def reload(self) -> Changed:
        """Let the daemon read its configuration again. Needs the scope `admin`."""
        return await self._run(calls.reload())

    async def _run(self, steps: calls.Steps[calls.Content]) -> calls.Content:
        return await run_async(steps, self._address, self._token)


def _content(clip: Clip) -> bytes | Path:
    """Return what is sent, perhaps more than once: the file where there is one, or else the bytes."""
    if isinstance(clip, bytes | bytearray | memoryview):
        return bytes(clip)
    if isinstance(clip, str | os.PathLike):
        path = Path(clip)
        return path.read_bytes() if path.exists() and not path.is_file() else path  # a pipe can be read once
    return clip.read()


def _asked(clip: Clip, labels: str | Iterable[str] | None, **given: Any) -> calls.Steps[list[Score]]:
    """Ask for the labels of a clip. Raises SubscriptionError for labels in a text with a quote that is not closed."""
    listed = names_of(labels, "labels") if isinstance(labels, str) else None if labels is None else list(labels)
    return calls.classify(_content(clip), labels=listed, **given)


def _settings(**groups: Mapping[str, object] | None) -> dict[str, object]:
    return {name: dict(settings) for name, settings in groups.items() if settings is not None}
