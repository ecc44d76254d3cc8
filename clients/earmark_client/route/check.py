"""What `earmark route --check` finds, besides mistakes in the routes file itself."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Mapping

from earmark.errors import EarmarkError
from earmark.hints import nearest
from earmark.protocol.events import Hello
from earmark_client.programs import why_not
from earmark_client.route import broker, secret_file, webhook
from earmark_client.routing import notification
from earmark_client.routing.file import is_plain
from earmark_client.routing.settings import OneOrMore, Route, Routes, listed


def read_secrets(routes: Routes) -> tuple[dict[str, str], list[str]]:
    """Return the secrets by the paths of their files, and a sentence for each that cannot be had."""
    found: dict[str, str] = {}
    wrong = []
    for key, path in _secret_files(routes):
        try:
            found[path] = secret_file.read(path)
            if key.endswith(".secret_file"):
                webhook.key_of(found[path])
        except EarmarkError as error:
            wrong.append(f"{key}: {error}")
    return found, wrong


def absent(routes: Routes, platform: str = sys.platform) -> Iterator[str]:
    """Yield a sentence for each program and library that a route needs and that is not on this machine."""
    for index, route in enumerate(routes.route):
        if route.run is not None and shutil.which(route.run[0]) is None:
            yield f"route[{index}].run: {route.run[0]}: {why_not(route.run[0])}"
        if route.mqtt is not None and not broker.is_there():
            yield f"route[{index}].mqtt: {broker.MISSING}"
        if route.notify is not False:
            program, remedy = notification.program(platform)
            if shutil.which(program) is None:
                yield f"route[{index}].notify: {program} is not on this machine{remedy}"


def doubtful(routes: Routes) -> Iterator[str]:
    """Yield a sentence for each setting that works and is perhaps not meant."""
    for index, route in enumerate(routes.route):
        if route.webhook is not None and is_plain(route.webhook):
            yield f"route[{index}].webhook: http is not encrypted, so others on the network can read and change it"
        if route.mqtt is not None and route.mqtt.username and not route.mqtt.tls:
            yield f"route[{index}].mqtt: without tls = true, the password goes over the network as it is"


def strangers(routes: Routes, hello: Hello) -> Iterator[str]:
    """Yield a sentence for each name in the routes that the daemon does not know."""
    labels = sorted({label for classifier in hello.classifiers for label in classifier.labels})
    known: Mapping[str, list[str]] = {
        "label": labels,
        "source": [source.name for source in hello.sources],
        "classifier": [classifier.name for classifier in hello.classifiers],
        "after": labels,
    }
    for index, route in enumerate(routes.route):
        for key, kind, names in _names(route):
            for name in listed(names):
                if name not in known[kind]:
                    what = "label" if kind == "after" else kind
                    yield f'route[{index}].{key}: the daemon has no {what} "{name}"{nearest(name, known[kind])}'


def _names(route: Route) -> Iterator[tuple[str, str, OneOrMore]]:
    for kind in ("label", "source", "classifier", "after"):
        yield kind, kind, getattr(route, kind)
    for table, chosen in (("only", route.only), ("except", route.except_)):
        for kind in ("label", "source", "classifier"):
            yield f"{table}.{kind}", kind, getattr(chosen, kind)


def _secret_files(routes: Routes) -> Iterator[tuple[str, str]]:
    if routes.daemon.token_file:
        yield "daemon.token_file", routes.daemon.token_file
    for index, route in enumerate(routes.route):
        if route.secret_file:
            yield f"route[{index}].secret_file", route.secret_file
        if route.mqtt is not None and route.mqtt.password_file:
            yield f"route[{index}].mqtt.password_file", route.mqtt.password_file
