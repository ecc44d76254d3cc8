"""What is wrong or useless in a configuration whose types are right, as sentences."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from ipaddress import ip_network

import msgspec

from earmark.config import quiet
from earmark.config.brokers import Nats, NatsServers, Publish
from earmark.config.labels import wrong_label_set
from earmark.config.settings import Classifier, Clips, Config, Cuda, Decide, Model, Vad, Worker
from earmark.config.sources import Command, Microphone
from earmark.hints import nearest
from earmark.visible import is_visible

ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#\s*]+|null", re.IGNORECASE)
HOST = re.compile(r"(\[[^\s/*\[\]]+\]|[0-9a-f:.]+|[^\s/*\[\]:]+)(:[0-9]+)?", re.IGNORECASE)
BROKER = re.compile(
    r"[^\s/:@\[\]]+|[0-9a-f:.]*:[0-9a-f:.]*:[0-9a-f:.]*(%[\w.~-]+)?", re.IGNORECASE
)  # an IPv6 address too
NATS_SERVER = re.compile(r"((nats|tls)://)?([^\s/:@\[\]]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?", re.IGNORECASE)
PREFIX = re.compile(r"(/[\w.~-]+)+", re.ASCII)
Group = type[Classifier] | type[Decide] | type[Vad]

SLIDING_ONLY: dict[str, Group] = {
    "hop": Classifier,
    "off": Decide,
    "smooth": Decide,
    "hits": Decide,
    "min_on": Decide,
    "max_on": Decide,
}
UTTERANCE_ONLY: dict[str, Group] = {
    "max_window": Classifier,
    "margin": Decide,
    "longest": Decide,
    "refractory_ms": Decide,
}
GATE_ONLY = {"threshold": ("speech",), "level_db": ("level",), "min_speech_ms": ("speech", "level")}


def complaints(config: Config) -> Iterator[str]:
    """Yield a sentence for each mistake that the types of the settings cannot express."""
    for table in ("source", "classifier", "model", "publish"):
        items = getattr(config, table)
        for name, count in Counter(item.name for item in items).items():
            if count > 1:
                yield f'{table}: {count} are named "{name}"; names must differ'
    yield from _server(config)
    yield from _worker(config.worker)
    yield from _models(config.model)
    yield from _remote(config.worker)
    if config.source and not config.classifier:
        yield "classifier: there is none, so nothing would be recognised"
    for index, source in enumerate(config.source):
        if isinstance(source, Microphone) and (wrong := _wrong_pattern(source.device)):
            yield f"source[{index}].device: {source.device!r} is not a regular expression: {wrong}"
        if isinstance(source, Command) and (source.channel or 1) > source.channels:
            yield f"source[{index}].channel: there is no channel {source.channel}; `channels` says {source.channels}"
        yield from _quiet(f"source[{index}].quiet", source.quiet)
    for index, publish in enumerate(config.publish):
        yield from _publish(f"publish[{index}]", publish)
    if config.gateway is not None:
        yield from _nats("gateway", config.gateway)
    sources = [source.name for source in config.source]
    for index, classifier in enumerate(config.classifier):
        yield from _classifier(f"classifier[{index}]", classifier, sources)


def _remote(worker: Worker) -> Iterator[str]:
    remote = worker.remote
    if worker.engine == "oip" and not remote.endpoints:
        yield 'worker.remote.endpoints: engine = "oip" needs one, such as "gpu.lan:8001"'
    for index, endpoint in enumerate(remote.endpoints):
        if not 0 < int(endpoint.rpartition(":")[2]) < 65536:
            yield f'worker.remote.endpoints[{index}]: "{endpoint}" has no port between 1 and 65535'
    if len(set(remote.endpoints)) < len(remote.endpoints):
        yield "worker.remote.endpoints: one is named twice"
    if not remote.tls and (remote.ca_file or remote.tls_name):
        yield "worker.remote: ca_file and tls_name need tls = true"
    if remote.token_file and not remote.tls and not all(_is_here(each) for each in remote.endpoints):
        yield "worker.remote.token_file: tls = true is needed, else anybody on the way could read the token"


def _is_here(endpoint: str) -> bool:
    host = endpoint.rpartition(":")[0].strip("[]")
    return host == "localhost" or host == "::1" or host.startswith("127.")


def useless(config: Config, has_gpu: Callable[[], bool] = lambda: True) -> Iterator[str]:
    """Yield a sentence for each setting that is not the default and has no effect beside the others.

    `has_gpu` is called if that depends on whether this machine has a GPU.
    """
    if config.gateway is not None:
        yield "gateway: has no effect without --gateway"
    yield from _useless_on_gpu(config.worker, has_gpu)
    if not config.source:
        return  # classifiers then only name the models that are loaded at the start
    heard = {name for classifier in config.classifier for name in classifier.sources}
    for index, source in enumerate(config.source):
        if source.name not in heard and all(classifier.sources for classifier in config.classifier):
            yield f"source[{index}]: no classifier hears {source.name}; name it in `sources` of one"
    if not any(classifier.clips for classifier in config.classifier):
        for field in msgspec.structs.fields(Clips):
            if getattr(config.clips, field.name) != field.default:
                yield f"clips.{field.name}: has no effect on new clips, because no classifier names labels in `clips`"
    for index, classifier in enumerate(config.classifier):
        where, mode, gate = f"classifier[{index}]", classifier.mode, classifier.gate
        for name, kind in SLIDING_ONLY.items() if mode == "utterance" else UTTERANCE_ONLY.items():
            group = classifier.decide if kind is Decide else classifier
            if getattr(group, name) != _default(kind, name):
                path = f"decide.{name}" if kind is Decide else name
                yield f'{where}.{path}: has no effect with mode = "{mode}"'
        if classifier.verify is not None:
            ons = [classifier.decide.on, *classifier.decide.labels.values()]
            if classifier.verify.sure <= min(ons):
                yield f"{where}.verify.sure: no label is looked at a second time, for each needs {min(ons):g} to go on"
        for name, gates in GATE_ONLY.items():
            if gate not in gates and getattr(classifier.vad, name) != _default(Vad, name):
                yield f'{where}.vad.{name}: has no effect with gate = "{gate}"'


def _useless_on_gpu(worker: Worker, has_gpu: Callable[[], bool]) -> Iterator[str]:
    for field in msgspec.structs.fields(Cuda):
        if getattr(worker.cuda, field.name) == field.default:
            continue
        if worker.device in ("cpu", "mps"):
            yield f'worker.cuda.{field.name}: has no effect with worker.device = "{worker.device}"'
        elif worker.engine in ("onnx", "oip"):
            yield f'worker.cuda.{field.name}: has no effect with worker.engine = "{worker.engine}"'
        elif worker.device == "auto" and not has_gpu():
            yield f"worker.cuda.{field.name}: has no effect, because torch would find no GPU on this machine"
    if worker.cuda.transfers == "overlapped" and worker.depth == 1:
        yield "worker.cuda.transfers: no batches overlap with worker.depth = 1"


def _server(config: Config) -> Iterator[str]:
    for one, other in (("certificate_file", "key_file"), ("key_file", "certificate_file")):
        if getattr(config.server, one) and not getattr(config.server, other):
            yield f"server.{other}: is missing beside {one}; TLS takes both"
    for proxy in config.server.trusted_proxies:
        try:
            ip_network(proxy, strict=False)
        except ValueError:
            yield f'server.trusted_proxies: "{proxy}" is no address and no network, such as 10.0.0.7 or 10.0.0.0/8'
    if (prefix := config.server.prefix) and not PREFIX.fullmatch(prefix):
        yield f'server.prefix: "{prefix}" is no path that begins with "/" and does not end with it, such as /earmark'
    for host in config.server.allow_hosts:
        if not HOST.fullmatch(host):
            yield f'server.allow_hosts: "{host}" is no name or address, so it would allow nothing; write each in full'
    for origin in config.server.allow_origins:
        if not ORIGIN.fullmatch(origin.rstrip("/")):
            yield (
                f'server.allow_origins: "{origin}" is no origin, so it would allow nothing; write each in full,'
                " as https://dashboard.example.org"
            )


def _worker(worker: Worker) -> Iterator[str]:
    if worker.engine == "onnx" and worker.device not in ("auto", "cpu"):
        yield f'worker.engine: "onnx" runs on the CPU alone, and worker.device is "{worker.device}"'
    if worker.engine == "onnx" and worker.precision == "bf16":
        yield 'worker.engine: "onnx" has fp32 and int8, and worker.precision is "bf16"'


def _models(models: Sequence[Model]) -> Iterator[str]:
    names = Counter(name for model in models for name in {model.name, *model.aliases})
    for name, count in names.items():
        if count > 1 and sum(model.name == name for model in models) < 2:
            yield f'model: "{name}" is the name or alias of {count} models; names must differ'
    for index, model in enumerate(models):
        for label, count in Counter(model.labels).items():
            if not label.strip():
                yield f"model[{index}].labels: name {model.labels.index(label)} is empty"
            elif not is_visible(label):
                yield f"model[{index}].labels: {label!r} has characters that cannot be seen"
            elif count > 1:
                yield f'model[{index}].labels: {count} are "{label}"; names must differ'
    if sum(model.default for model in models) > 1:
        yield f"model: {sum(model.default for model in models)} are the default; there can be one"


def _quiet(where: str, texts: Sequence[str]) -> Iterator[str]:
    for text in texts:
        try:
            quiet.parse([text])
        except ValueError as error:
            yield f"{where}: {error}"


def _publish(where: str, publish: Publish) -> Iterator[str]:
    if isinstance(publish, Nats):
        yield from _nats(where, publish)
        return
    if not BROKER.fullmatch(publish.host):
        yield f'{where}.host: "{publish.host}" is no name or address alone; `port` and `tls` are settings of their own'
    if publish.password_file and not publish.username:
        yield f"{where}.username: is missing beside password_file; MQTT has no password without a name"
    if publish.ca and not publish.tls:
        yield f"{where}.ca: has no effect without tls = true"
    if publish.discovery and publish.prefix.partition("/")[0] == publish.discovery_prefix.partition("/")[0]:
        yield f'{where}.prefix: "{publish.prefix}" is within discovery_prefix, where only discovery may be'


def _nats(where: str, nats: NatsServers) -> Iterator[str]:
    for server in nats.servers:
        if not NATS_SERVER.fullmatch(server):
            yield f'{where}.servers: "{server}" is no server, such as HOST, HOST:PORT, nats://HOST:PORT or tls://HOST:PORT'
    if bool(nats.username) != bool(nats.password_file):
        lacking, given = ("username", "password_file") if nats.password_file else ("password_file", "username")
        yield f"{where}.{lacking}: is missing beside {given}; NATS takes both"
    ways = [name for name in ("username", "token_file", "credentials_file") if getattr(nats, name)]
    if len(ways) > 1:
        yield f"{where}.{ways[1]}: is set beside {ways[0]}; NATS takes one of them"
    if nats.ca and not (nats.tls or any(server.startswith("tls://") for server in nats.servers)):
        yield f"{where}.ca: has no effect without tls = true"


def _wrong_pattern(device: str) -> str | None:
    """Return why the regular expression of a microphone's setting is none, or None if it is one or there is none."""
    if not (device.startswith("/") and device.endswith("/")):
        return None
    try:
        re.compile(device[1:-1], re.IGNORECASE)
    except (re.error, OverflowError, RecursionError) as error:
        return str(error)
    return None


def _classifier(where: str, classifier: Classifier, sources: Sequence[str]) -> Iterator[str]:
    for name in classifier.sources:
        if name not in sources:
            yield f'{where}.sources: there is no source "{name}"{nearest(name, sources)}'
    chosen = classifier.decide
    if classifier.mode == "sliding" and chosen.off > chosen.on:
        yield f"{where}.decide.off: {chosen.off} is above on = {chosen.on}; a label goes off below where it goes on"
    if classifier.mode == "sliding" and chosen.max_on and chosen.max_on < chosen.min_on:
        yield f"{where}.decide.max_on: {chosen.max_on} s is shorter than min_on = {chosen.min_on} s"
    if classifier.gate == "open" and classifier.mode == "utterance":
        yield f'{where}.mode: an open gate never closes, so no utterance ever ends; set mode = "sliding"'
    if classifier.max_window and classifier.max_window < classifier.window:
        yield f"{where}.max_window: {classifier.max_window} s is shorter than window = {classifier.window} s"
    for setting, wrong in wrong_label_set(classifier.labels, classifier.background, classifier.template):
        yield f"{where}.{setting}: {wrong}"
    if len(classifier.labels) == 1 and not classifier.background:
        yield f"{where}.labels: one alone always has the score 1; name others, or what else there is in `background`"


@cache
def _default(kind: Group, name: str) -> object:
    return next(field.default for field in msgspec.structs.fields(kind) if field.name == name)
