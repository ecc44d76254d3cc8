"""The layout, held over the syntax trees: who imports whom, which modules are pure, how large a package may be.

Imports count wherever they stand, also inside functions.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Set
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DAEMON = ROOT / "daemon" / "earmark"
CLIENTS = ROOT / "clients" / "earmark_client"
DESIGN = ROOT / "docs" / "design.md"
PACKAGES = sorted(folder.name for folder in DAEMON.iterdir() if (folder / "__init__.py").is_file())
CLIENT_PACKAGES = sorted(folder.name for folder in CLIENTS.iterdir() if (folder / "__init__.py").is_file())
MODULES = sorted(DAEMON.rglob("*.py"))

MOST_LINES, MOST_MODULES = 1500, 14  # of a package
MOST_CLIENT_LINES, MOST_CLIENT_MODULES = 3800, 27  # of earmark_client without its packages

MAY_IMPORT: dict[str, set[str]] = {
    "protocol": set(),
    "tomlfile": set(),
    "config": {"tomlfile"},
    "audio": set(),
    "devices": {"audio.types"},
    "recordings": {"audio"},
    "capture": {"devices", "recordings", "audio", "config", "protocol"},
    "foreign": set(),
    "checkpoints": {"foreign", "tomlfile", "config"},
    "converting": {"foreign"},
    "gating": {"audio", "config"},
    "windowing": {"gating", "capture.intake", "capture.items", "capture.health", "audio", "config", "protocol"},
    "poison": set(),
    "inference": {"checkpoints", "audio", "config", "protocol"},
    "placement": {"checkpoints", "config"},
    "launching": {"engines.wire", "placement", "checkpoints", "config"},
    "runtimes": {"placement", "checkpoints", "audio"},
    "standin": {"inference", "checkpoints", "audio"},
    "engines": {
        "standin.backed",
        "remote.engine",
        "launching",
        "placement",
        "inference",
        "checkpoints",
        "audio",
        "config",
        "protocol",
    },
    "remote": {"inference", "checkpoints", "audio", "config"},
    "serving": {"remote", "runtimes", "placement", "checkpoints", "audio", "config"},
    "deciding": {"audio.types", "config.settings", "protocol"},
    "detection": {"deciding", "windowing.messages", "inference.scores", "audio.types", "protocol"},
    "broadcast": {"detection", "protocol"},
    "outputs": {"broadcast.sink", "protocol"},
    "access": {"protocol"},
    "history": {"broadcast", "protocol"},
    "journal": {"history", "broadcast", "config", "protocol"},
    "login": set(),
    "jetstream": {"login", "config", "protocol"},
    "publish": {"login", "jetstream", "history", "broadcast", "config", "protocol"},
    "gateway": {
        "jetstream",
        "stream",
        "web.routes",
        "control.history_routes",
        "control.audit_lines",
        "control.steering",
        "access",
        "changes.difference",
        "perimeter.certificate",
        "supervision.ending",
        "supervision.hang_up",
        "supervision.systemd",
        "server",
        "telemetry.metric",
        "history",
        "broadcast",
        "config",
        "protocol",
    },
    "archive": {
        "access.audit",
        "history",
        "broadcast",
        "windowing.inbox",
        "audio",
        "config",
        "protocol",
        "server.responses",
    },
    "perimeter": {"access", "config", "protocol"},
    "server": {"perimeter", "access", "config", "protocol"},
    "stream": {"history", "broadcast", "server.connection", "server.handshake", "protocol"},
    "uplink": {"server.connection", "server.handshake", "capture.network", "audio", "config", "protocol"},
    "answers": {"checkpoints.checkpoint"},
    "parameters": {"config.settings"},
    "bodies": {"recordings", "audio"},
    "api": {
        "bodies",
        "parameters",
        "zeroshot",
        "answers",
        "server.responses",
        "poison",
        "access",
        "inference",
        "checkpoints",
        "audio",
        "config",
        "protocol",
    },
    "analysis": {
        "api",
        "bodies",
        "listening",
        "windowing",
        "detection",
        "inference",
        "capture.intake",
        "recordings",
        "audio",
        "broadcast.publisher",
        "config",
        "protocol",
    },
    "telemetry": {
        "api.clips",
        "archive.archive",
        "broadcast",
        "detection.detectors",
        "inference",
        "journal.journal",
        "outputs.outputs",
        "publish.stats",
        "server.server",
        "windowing.segmenter",
        "protocol",
    },
    "control": {"access", "broadcast", "history", "tomlfile", "config", "protocol", "server.responses"},
    "description": {
        "broadcast.subscription",
        "control.steering",
        "uplink.parameters",
        "telemetry.snapshot",
        "server.responses",
        "web.routes",
        "config",
        "protocol",
    },
    "changes": {"control.steering", "config"},
    "zeroshot": {"inference.scores", "checkpoints", "audio", "config"},
    "listening": {
        "zeroshot",
        "changes",
        "deciding",
        "detection",
        "windowing",
        "inference",
        "engines.wire",
        "capture",
        "checkpoints",
        "audio",
        "config",
        "protocol",
    },
    "tuning": {
        "analysis.offline",
        "listening.plan",
        "zeroshot.text_vectors",
        "deciding",
        "detection",
        "inference",
        "engines.supervisor",
        "recordings",
        "windowing.messages",
        "audio.types",
        "tomlfile",
        "config",
        "protocol",
    },
    "supervision": {"inference.engine", "broadcast.sink", "audio.types", "protocol"},
    "web": {"server.responses", "protocol"},
    "learning": {"windowing", "gating", "capture", "recordings", "audio", "checkpoints", "tomlfile", "config"},
    "cuda": {"placement", "audio"},
    "worker": {"cuda", "engines.wire", "runtimes", "placement", "checkpoints", "audio"},
    "fitting": {"worker", "learning", "audio"},
    "exporting": {"worker", "checkpoints", "learning.find", "inference.scores", "audio"},
    "commands": {
        "serving",
        "learning",
        "tuning",
        "listening.plan",
        "checkpoints",
        "devices",
        "capture",
        "recordings",
        "audio",
        "access",
        "tomlfile",
        "config",
        "protocol",
    },
    "app": set(PACKAGES)
    - {"worker", "cuda", "runtimes", "fitting", "exporting", "converting", "serving", "learning", "tuning", "commands"},
}
"""Package to the packages and modules that it may import besides its own and EVERYWHERE."""

CLIENTS_MAY_IMPORT = {
    *("protocol", "errors", "hints", "columns", "visible", "commands"),
    *("tomlfile", "config.quiet", "config.state"),  # what a file of settings needs
}
CLIENT_PACKAGES_MAY_IMPORT: dict[str, set[str]] = {
    "following": {"address", "request"},
    "sessions": set(),
    "routing": {"address"},
    "report": {"sessions"},
    "monitor": {"report", "sessions"},
    "route": {"routing", "following"},
}
"""Package of earmark_client to the others that it may import. A pure one imports nothing else of the client."""

PURE_IN_CLIENT = {"sessions", "routing"}
"""Packages of earmark_client that are passed the time and touch nothing, but for the file of routes."""

EVERYWHERE = {"cores", "errors", "log", "hints", "columns", "histogram", "plain_file", "sparing", "visible"}

SHELLS: dict[str, str] = {
    "__main__": "the command line",
    "log": "the root logger",
    "archive.archive": "the thread that writes clips, and what is known of them",
    "archive.folder": "the folder of kept clips",
    "archive.keeper": "the clips whose sound has not all come",
    "archive.routes": "the HTTP routes of kept clips",
    "cores": "nothing; it reads the limits of this process",
    "plain_file": "a file of settings or state",
    "analysis.offline": "a recording on its way, and the thread of its rounds",
    "analysis.routes": "the HTTP route of analysis",
    "poison.remembered": "the file of clips that kill",
    "api.clip_scorer": "clips that wait for the model",
    "bodies.body": "the body of a request as it comes in",
    "api.clips": "the queue of requests",
    "bodies.decode": "the decoding threads",
    "api.loading": "nothing; it waits for a model of api.models",
    "bodies.memory": "the memory of all requests",
    "inference.registry": "which models are loading",
    "api.openapi": "nothing; it describes what inference.registry shows",
    "api.routes": "the HTTP routes of the clip API",
    "app.check": "nothing; it reads the files that the settings name",
    "app.events": "the sinks of the events, and the numbers of labels",
    "app.interfaces": "nothing; it collects the routes of the other shells",
    "app.keeping": "the archive of clips",
    "app.loading": "nothing; it waits for the engine",
    "listening.live": "the windows that are on their way through the engine",
    "app.passing": "the timer of the ticks",
    "listening.plan": "the checkpoint folders that the settings name",
    "supervision.loading": "the line on the terminal that tells what is being loaded",
    "app.memory": "nothing; it reads what is resident",
    "listening.loop": "nothing; it calls functions on the event loop",
    "app.models": "the engine, and the queue before it",
    "app.service": "the running daemon",
    "listening.sources": "the open sources",
    "app.reconfigure": "the configuration in force",
    "launching.worker_log": "the pipe from the model processes",
    "supervision.allocator": "the allocator of the C library",
    "supervision.ending": "the handlers of SIGTERM and SIGINT",
    "supervision.hang_up": "the handler of SIGHUP",
    "supervision.source_log": "nothing; it writes to the log",
    "supervision.systemd": "the socket of the service manager",
    "supervision.watchdog": "the task that feeds the watchdog of the service manager",
    "journal.folder": "the folder of the journal, and its lock",
    "journal.journal": "what is kept of the events, and the threads that read it",
    "journal.opening": "nothing; it opens the files of the journal",
    "journal.reading": "a connection to the journal for each page",
    "journal.store": "the database of the journal",
    "journal.tail": "the file of the tail",
    "journal.writer": "the thread that writes the journal",
    "recordings.ffmpeg": "the FFmpeg library",
    "recordings.recording": "an audio file",
    "recordings.sndfile": "the libsndfile library",
    "broadcast.hub": "the subscribers",
    "outputs.line_writer": "a thread that writes lines",
    "outputs.outputs": "standard output and the file of --events",
    "broadcast.publisher": "the numbers of the events and the clocks that stamp them",
    "capture.command": "a program and the thread that reads it",
    "capture.file": "the thread that plays a recording",
    "capture.intake": "the queue between a source's thread and the segmenter thread",
    "capture.network": "the feeds of clients on the event loop",
    "capture.microphone": "the thread that records from a sound device",
    "devices.suspension": "the clocks of the machine",
    "checkpoints.catalogue": "the folders in which models are looked for",
    "checkpoints.child": "a child process and what it prints",
    "checkpoints.exported": "the file of an exported network",
    "checkpoints.hub_cache": "the Hub's cache folder",
    "checkpoints.hub_client": "the connection to the Hugging Face Hub",
    "checkpoints.manifest": "a manifest file",
    "checkpoints.pull": "the folder that a model is fetched into",
    "checkpoints.reader": "a checkpoint folder",
    "checkpoints.store": "the folder of fetched models",
    "checkpoints.weights": "the headers of the files of weights",
    "commands.devices": "the command earmark devices",
    "commands.export": "the command earmark export",
    "commands.learn": "the command earmark learn",
    "commands.serve_ray": "the command earmark serve-ray",
    "commands.sound": "a microphone, for earmark send",
    "commands.pull": "the command earmark pull",
    "control.audit_lines": "nothing; it writes to the audit log",
    "control.body": "the body of a request that changes the daemon",
    "control.routes": "the HTTP routes that show and change the daemon",
    "commands.tune": "the command earmark tune",
    "tuning.plot": "a picture of scores",
    "tuning.record": "the engine through which a recording goes",
    "tuning.variants": "nothing; it changes the settings in a plan",
    "commands.token": "the command earmark token",
    "config.state": "nothing; it names the state folder",
    "changes.patch": "nothing; it checks settings through config.file",
    "config.file": "nothing; it reads the configuration through tomlfile.reading",
    "tomlfile.reading": "a settings file",
    "config.resolve": "nothing; it reads the configuration file through config.file",
    "config.shipped": "the folder of configurations that come with Earmark",
    "devices.inputs": "nothing; it asks PortAudio for the sound devices",
    "devices.portaudio": "the process of a sound device",
    "devices.portaudio_process": "the PortAudio library",
    "devices.sound_server": "the programs that ask the sound server",
    "gating.silero": "the file of Silero's weights",
    "gating.speech": "the Silero slots of the streams",
    "inference.announced": "nothing; it wakes who waits for a state",
    "inference.dispatch": "the task that sends batches",
    "standin.backed": "the task that starts and ends the process that stands in",
    "engines.sending": "the slots that are free",
    "engines.silence": "the timer of a process that sends nothing",
    "engines.placing": "nothing; it asks placement.gpu and placement.known_threads",
    "launching.early": "a model process that waits for its engine",
    "runtimes.limits": "the memory of the model process",
    "runtimes.onnx_runtime": "an onnxruntime session",
    "runtimes.threads": "nothing; it times a model by the clock that it is given",
    "runtimes.runtime": "nothing; it imports the runtimes",
    "placement.forecast": "nothing; it looks for the files of models",
    "placement.gpu": "a process that asks the driver of a GPU",
    "placement.known_threads": "the file of what was measured",
    "placement.network_file": "nothing; it reads some bytes of a file that may be a network",
    "placement.probe": "a process that looks for a device",
    "placement.processor": "nothing; it reads what the system says of the processor",
    "placement.resident": "nothing; it asks the system for the memory of a process",
    "launching.launch": "the template of the model processes",
    "engines.process": "a model process",
    "engines.chosen": "nothing; it makes the engine",
    "engines.device": "nothing; it waits until the device is there",
    "engines.roster": "the state of the engine",
    "engines.supervisor": "the task that restarts the model process",
    "engines.wire": "the shared memory",
    "remote.endpoint": "a channel of gRPC",
    "remote.engine": "the tasks that look after the endpoints",
    "remote.messages": "nothing; it makes messages of protobuf",
    "remote.open_inference": "the file that describes the messages",
    "serving.cluster": "Ray, while it runs for this process",
    "serving.deployment": "the model of one replica",
    "serving.ray_app": "nothing; it describes applications to Ray",
    "serving.servicer": "nothing; it registers methods",
    "learning.find": "recordings with examples in them",
    "learning.job": "the file that the learning process reads",
    "learning.learn": "the folder of a learnt model",
    "learning.negatives": "a file of negatives",
    "learning.onnx_file": "the exported network of a learnt model",
    "learning.record": "a microphone and the segmenter thread, for recording examples",
    "perimeter.bind": "the listening socket",
    "perimeter.framing": "nothing; it counts what h11 reads",
    "perimeter.refusal_log": "the timer of the line about refusals",
    "perimeter.certificate": "the files of the certificate and the key",
    "publish.broker": "the task that publishes to a broker",
    "publish.connection": "the connection to a broker",
    "publish.nats_publisher": "the connection to NATS, and what waits for it",
    "login.files": "nothing; it reads secrets and certificates",
    "gateway.elsewhere": "the HTTP routes of what a gateway has not",
    "gateway.families": "nothing; it makes metrics of what a gateway counts",
    "gateway.feed": "the connection to NATS, and what is known of the stream",
    "gateway.following": "a consumer of a stream",
    "gateway.kept": "nothing; it reads the stream",
    "gateway.metrics": "the HTTP route of a gateway's metrics",
    "gateway.reload": "the configuration of a gateway in force",
    "gateway.service": "a gateway put together",
    "gateway.subscribers": "the connections of the subscribers",
    "jetstream.login": "nothing; it reads secrets and certificates",
    "jetstream.connection": "one connection to NATS",
    "jetstream.streams": "nothing; it asks the server",
    "publish.login": "nothing; it reads the password and the certificates",
    "publish.memory": "the file of what was announced",
    "publish.publishing": "the publishers",
    "server.acceptor": "the connections that are accepted and not served yet",
    "server.connection": "a WebSocket connection",
    "server.http": "an HTTP connection",
    "server.handshake": "which WebSocket connections there are",
    "server.middleware": "what every HTTP request passes first",
    "server.responses": "nothing; it makes HTTP responses",
    "server.routes": "the HTTP routes of the daemon itself",
    "server.server": "the HTTP server",
    "access.audit": "the audit log",
    "control.history_routes": "the HTTP route of history",
    "stream.events_endpoint": "what a subscriber says",
    "stream.replayer": "the turns in which subscribers are replayed",
    "access.token_file": "the file of tokens",
    "description.openapi": "nothing; it describes what telemetry.snapshot shows",
    "description.routes": "the HTTP routes of the documents",
    "telemetry.endpoint": "the HTTP route of the metrics",
    "telemetry.families": "nothing; it makes metrics of the snapshot",
    "telemetry.loop": "a task that sets timers; the caller runs it",
    "telemetry.metric": "nothing; it makes metrics of values",
    "telemetry.snapshot": "nothing; it collects what the other shells count",
    "web.files": "the folder of the page",
    "web.routes": "the HTTP routes of the page",
    "uplink.endpoint": "what a client that sends sound says",
    "windowing.inbox": "the requests to the segmenter thread",
    "windowing.kept_sound": "the rings of one source's sound, and the captures that wait for more of it",
    "windowing.rounds": "the streams of all sources",
    "windowing.segmenter": "the segmenter thread",
    "windowing.shared_gates": "the gates of one source",
    "zeroshot.text_vectors": "the vectors of texts, and the turns in which they are read",
    "windowing.stream": "one source's state on the segmenter thread",
}
"""Modules that are not pure, and the one thing that each of them owns. Those of PROCESSES are not listed."""

PROCESSES = ("worker", "cuda", "fitting", "exporting", "converting")
"""Packages that each run in a process of their own, and may import torch."""

HEAVY = {"torch", "transformers", "torchaudio"}
# Modules that touch the world or time; pure modules are passed all of that
WORLDLY = {
    *("asyncio", "atexit", "concurrent", "ctypes", "http", "io", "logging", "mmap", "multiprocessing", "os", "pathlib"),
    *("queue", "random", "resource", "secrets", "select", "selectors", "shutil", "signal", "socket", "sqlite3", "ssl"),
    *("subprocess", "sys", "tempfile", "threading", "time", "urllib.request"),
    *("av", "huggingface_hub", "onnxruntime", "safetensors", "sounddevice", "soundfile", "starlette", "uvicorn"),
    *("aiomqtt", "h11", "prometheus_client", "websockets"),
}


def name_of(file: Path) -> str:
    """`gating.gate` for daemon/earmark/gating/gate.py, and `capture` for its __init__.py."""
    return ".".join(file.relative_to(DAEMON).with_suffix("").parts).removesuffix(".__init__")


def imported(file: Path) -> Iterator[str]:
    """The full names of everything that `file` imports. `from a import b` gives a, and a.b where that is a module."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str(module), names=names, level=0):
                modules = [f"{module}.{alias.name}" for alias in names if is_module(f"{module}.{alias.name}")]
                yield from modules or [module]
                if len(modules) not in (0, len(names)):
                    yield module
            case ast.ImportFrom():
                yield "relative import"


def is_module(name: str) -> bool:
    path = name.replace(".", "/")
    roots = (ROOT / "daemon", ROOT / "clients")
    return any((root / f"{path}.py").is_file() or (root / path / "__init__.py").is_file() for root in roots)


def ours(file: Path) -> Set[str]:
    """What `file` imports of the package earmark, without that prefix: `audio.ring`, `errors`."""
    return {name.removeprefix("earmark.") for name in imported(file) if name.startswith("earmark.")}


def allowed(name: str, among: Set[str]) -> bool:
    return any(name == each or name.startswith(f"{each}.") for each in among)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_the_packages_that_the_design_names(package: str) -> None:
    among = MAY_IMPORT[package] | EVERYWHERE | {package}
    wrong = [
        f"{name_of(file)} imports {name}"
        for file in sorted((DAEMON / package).rglob("*.py"))
        for name in sorted(ours(file))
        if not allowed(name, among)
    ]
    assert wrong == []


def test_the_design_tells_the_same_rule() -> None:
    rows = re.findall(r"^\| ([a-z, ]+) \| (.+) \|$", DESIGN.read_text(encoding="utf-8"), re.MULTILINE)
    told = {package: names for packages, names in rows for package in packages.split(", ") if package in MAY_IMPORT}

    assert {package: _packages_in(names) for package, names in told.items()} == MAY_IMPORT


def _packages_in(names: str) -> set[str]:
    """`gating (gate, gates), audio` as {"gating.gate", "gating.gates", "audio"}."""
    if names.startswith("all but "):
        return set(PACKAGES) - _packages_in(names.removeprefix("all but "))
    found: set[str] = set()
    for package, modules in re.findall(r"([a-z_.]+)(?: \(([a-z_, ]+)\))?", names):
        found |= {f"{package}.{module}" for module in modules.split(", ")} if modules else {package}
    return found - {"nothing", "and", "torch"}


def test_relative_imports_are_not_used() -> None:
    assert [file for file in (*MODULES, *CLIENTS.rglob("*.py")) if "relative import" in set(imported(file))] == []


def test_a_pure_module_imports_neither_the_world_nor_a_shell() -> None:
    wrong = [
        f"{name_of(file)} imports {name}"
        for file in MODULES
        if name_of(file) not in SHELLS and not name_of(file).startswith(PROCESSES)
        for name in sorted(worldly(file) | (ours(file) & SHELLS.keys()))
        if file.name != "__init__.py"
    ]
    assert wrong == []


def test_sessions_and_what_the_router_decides_touch_nothing_of_the_world() -> None:
    files = [file for package in PURE_IN_CLIENT for file in (CLIENTS / package).glob("*.py")]
    touching = {f"{file.parent.name}/{file.name}" for file in files if worldly(file)}
    assert touching == {"routing/file.py"}


@pytest.mark.parametrize("package", CLIENT_PACKAGES)
def test_a_package_of_the_client_imports_only_those_that_it_may(package: str) -> None:
    among = {f"earmark_client.{name}" for name in CLIENT_PACKAGES_MAY_IMPORT[package] | {package}}
    packages = {f"earmark_client.{name}" for name in CLIENT_PACKAGES}
    barred = {"earmark_client"} if package in PURE_IN_CLIENT else packages
    wrong = [
        f"{package}/{file.name} imports {name}"
        for file in sorted((CLIENTS / package).glob("*.py"))
        for name in sorted(set(imported(file)))
        if allowed(name, barred) and not allowed(name, among)
    ]
    assert wrong == []


def test_every_shell_exists_and_is_one() -> None:
    shells = {name_of(file) for file in MODULES if worldly(file) or ours(file) & SHELLS.keys()}
    assert sorted(SHELLS.keys() - shells) == []


def worldly(file: Path) -> set[str]:
    names = set(imported(file))
    return (names | {name.split(".")[0] for name in names}) & WORLDLY


def test_pure_modules_use_numpy_msgspec_soxr_and_the_standard_library_alone() -> None:
    for file in MODULES:
        if name_of(file) not in SHELLS and not name_of(file).startswith(PROCESSES):
            tops = {name.split(".")[0] for name in imported(file)}
            foreign = tops - sys.stdlib_module_names - {"earmark", "numpy", "msgspec", "soxr"}
            assert (name_of(file), foreign) == (name_of(file), set())


@pytest.mark.parametrize("folder", [DAEMON, CLIENTS])
def test_torch_stays_in_the_worker_and_in_the_export(folder: Path) -> None:
    heavy = {file for file in folder.rglob("*.py") if HEAVY & {name.split(".")[0] for name in imported(file)}}
    assert {file.parent for file in heavy} <= {DAEMON / name for name in PROCESSES}


def test_nobody_else_imports_the_worker_or_the_export() -> None:
    others = [file for file in MODULES if not name_of(file).startswith(PROCESSES)]
    wrong = [name_of(file) for file in others if {name.split(".")[0] for name in ours(file)} & set(PROCESSES)]
    assert wrong == []


def test_clients_import_the_protocol_and_commands_only_when_they_are_called() -> None:
    for file in CLIENTS.rglob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        assert [name for name in ours(file) if not allowed(name, CLIENTS_MAY_IMPORT)] == [], file
        at_top = [node.module for node in tree.body if isinstance(node, ast.ImportFrom) and node.module]
        assert [name for name in at_top if name.startswith("earmark.commands")] == [], file


@pytest.mark.parametrize(
    "folder",
    [*(DAEMON / name for name in PACKAGES), *(CLIENTS / name for name in CLIENT_PACKAGES)],
    ids=lambda folder: f"{folder.parent.name}/{folder.name}",
)
def test_a_package_is_small_enough_to_be_seen_at_once(folder: Path) -> None:
    lines, modules = size(folder)
    assert (lines <= MOST_LINES, modules <= MOST_MODULES) == (True, True), (lines, modules)


def test_the_client_outside_of_its_packages_has_a_bound_too() -> None:
    lines, modules = size(CLIENTS)
    assert (lines <= MOST_CLIENT_LINES, modules <= MOST_CLIENT_MODULES) == (True, True), (lines, modules)


def size(folder: Path) -> tuple[int, int]:
    """Return the lines of the package, and its modules without `__init__`."""
    files = sorted(folder.glob("*.py"))
    lines = sum(len(file.read_text(encoding="utf-8").splitlines()) for file in files)
    return lines, len([file for file in files if file.name != "__init__.py"])


def test_unit_tests_lie_as_the_modules_do() -> None:
    tests = ROOT / "tests" / "unit"
    folders = [
        *((tests / name, DAEMON / name) for name in PACKAGES),
        *((tests / "earmark_client" / name, CLIENTS / name) for name in CLIENT_PACKAGES),
    ]
    stray = [
        file.relative_to(ROOT)
        for lie, package in folders
        for file in sorted(lie.rglob("test_*.py"))
        if not (package / f"{file.stem[5:]}.py").is_file()
    ]
    assert stray == []
