"""The routes file: TOML in, checked Routes out, or sentences that say what to mend."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from earmark.config import quiet
from earmark.errors import ConfigError, SubscriptionError
from earmark.tomlfile.explain import explained
from earmark.tomlfile.reading import read
from earmark_client.address import address
from earmark_client.routing import template
from earmark_client.routing.settings import Route, Routes, listed

ACTIONS = ("run", "webhook", "mqtt", "notify")


def load(path: Path) -> Routes:
    """Read a routes file. Paths in it that are not absolute begin in its folder.

    Raises ConfigError with the file, the line, the table, the key and the nearest known key; several mistakes are a
    line each.
    """
    return read(
        path,
        lambda tables: anchored(parse(tables), path.absolute().parent),
        kind="a routes file",
        absent="config/examples/routes.toml is one to begin with",
    )


def parse(tables: dict[str, Any]) -> Routes:
    """Return the routes in TOML tables, checked as a whole. Raises ConfigError, with a line for each mistake."""
    try:
        routes = msgspec.convert(tables, Routes)
    except msgspec.ValidationError as error:
        raise ConfigError(explained(str(error), tables, Routes)) from None
    if found := list(_complaints(routes)):
        raise ConfigError("\n".join(found))
    return routes


def anchored(routes: Routes, folder: Path) -> Routes:
    """Return `routes` with every path in it absolute: `~` is the home folder, other paths begin in `folder`.

    A program is a path if it contains a slash.
    """

    def absolute(path: str) -> str:
        return str(folder / os.path.expanduser(path)) if path else ""

    replace = msgspec.structs.replace
    found = []
    for route in routes.route:
        route = replace(route, secret_file=absolute(route.secret_file))
        if route.run and "/" in route.run[0]:
            route = replace(route, run=(absolute(route.run[0]), *route.run[1:]))
        if route.mqtt is not None:
            route = replace(route, mqtt=replace(route.mqtt, password_file=absolute(route.mqtt.password_file)))
        found.append(route)
    daemon = replace(routes.daemon, token_file=absolute(routes.daemon.token_file))
    return replace(routes, daemon=daemon, route=tuple(found))


def action_of(route: Route) -> str:
    """Return the name of the one action that a checked route has."""
    return next(iter(_actions(route)))


def _actions(route: Route) -> list[str]:
    return [name for name in ACTIONS if getattr(route, name) not in (None, False)]


def _complaints(routes: Routes) -> Iterator[str]:
    if not routes.route:
        yield "route: there is none, so nothing would ever run; each begins with [[route]]"
    for name, count in Counter(route.name for route in routes.route).items():
        if count > 1:
            yield f'route: {count} are named "{name}"; names must differ'
    if routes.daemon.url:
        try:
            address(routes.daemon.url)
        except SubscriptionError as error:
            yield f"daemon.url: {error}"
    for index, route in enumerate(routes.route):
        for key, sentence in _of_route(route):
            yield f"route[{index}].{key}: {sentence}" if key else f"route[{index}]: {sentence}"


def _of_route(route: Route) -> Iterator[tuple[str, str]]:
    """Yield the key and a sentence for each mistake that the types of the settings cannot express."""
    actions = _actions(route)
    if not actions:
        yield "", f"{route.name} does nothing; give it one of {', '.join(ACTIONS)}"
    if len(actions) > 1:
        yield actions[1], f"{route.name} has {actions[0]} too; a route does one thing, so make two routes"
    try:
        quiet.parse(listed(route.between))
    except ValueError as error:
        yield "between", str(error)
    if route.between and not listed(route.between):
        yield "between", "is empty"
    if route.run is not None and (not route.run or not route.run[0]):
        yield "run", 'names no program; write it as a list, as ["notify-send", "{label}"]'
    for part in (route.run or ())[1:]:
        yield from (("run", each) for each in template.complaints(part))
    if route.run and "{" in route.run[0]:
        yield "run", "the program itself cannot have placeholders; only its arguments can"
    if isinstance(route.notify, str):
        yield from (("notify", each) for each in template.complaints(route.notify))
    if route.mqtt is not None:
        yield from (("mqtt.topic", each) for each in template.complaints(route.mqtt.topic))
        yield from (("mqtt.payload", each) for each in template.complaints(route.mqtt.payload or ""))
        if route.mqtt.password_file and not route.mqtt.username:
            yield "mqtt.password_file", "has no effect without `username`"
    if route.webhook is not None and (wrong := _wrong_url(route.webhook)):
        yield "webhook", wrong
    if route.secret_file and route.webhook is None:
        yield "secret_file", "has no effect without `webhook`"
    if route.retry and not {"webhook", "mqtt"} & set(actions):
        yield (
            "retry",
            "a program may have done its work before the router died, so only webhook and mqtt can be retried",
        )


def _wrong_url(url: str) -> str:
    """Return what is wrong with the URL of a webhook, or nothing."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        return f"{url!r} is no URL: {error}"
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        return f"{url!r} is no URL; write https://HOST/PATH"
    if not url.isascii() or any(char.isspace() for char in url):
        return f"{url!r} has characters that a URL must escape"
    if parts.username or parts.password:
        return "has a password in it, which others on this machine can see; use secret_file"
    if parts.fragment:
        return f"{url!r} has a fragment, which is never sent"
    return ""


def is_plain(url: str) -> bool:
    """Return whether a webhook goes over the network without encryption."""
    parts = urlsplit(url)
    if parts.scheme == "https":
        return False
    try:
        return not ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return parts.hostname != "localhost"
