"""The applications of Ray Serve, one for each model, as they are named and described. Nothing here needs Ray."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from earmark.remote.application import application

SERVICER = "earmark.serving.servicer.add_to_server"
IMPORT_PATH = "earmark.serving.ray_app:app"


class Arguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `args` of a Serve configuration, or the command line of `serve run`, may name."""

    model: str
    config: str = ""  # a file of Earmark's settings: [worker] and [[model]] count
    replicas: int = 1
    most_replicas: int = 0  # more than `replicas`: Ray adds some while they are busy
    num_gpus: float = 0.0  # of each replica; 0.25 lets four share one
    num_cpus: float = 1.0


@dataclass(frozen=True, slots=True)
class Where:
    """Where to serve: `address` of a cluster ("auto": the one that runs on this machine; empty: begin one here)."""

    address: str = ""
    port: int = 8001  # of gRPC, on all addresses of the machine
    http_host: str = "127.0.0.1"  # of Ray's HTTP proxy, which has nothing to say here
    http_port: int = 8002


def route(model: str) -> str:
    """Return the route of the application. Without one, Ray's proxies are not told of the application at all."""
    return f"/{application(model)}"


def configuration(models: Sequence[Arguments], where: Where) -> str:
    """Return a configuration for `serve deploy`, as YAML; JSON is YAML too."""
    content = {
        "proxy_location": "EveryNode",
        "http_options": {"host": where.http_host, "port": where.http_port},
        "grpc_options": {"port": where.port, "grpc_servicer_functions": [SERVICER]},
        "applications": [
            {
                "name": application(each.model),
                "route_prefix": route(each.model),
                "import_path": IMPORT_PATH,
                "args": msgspec.to_builtins(each),
            }
            for each in models
        ],
    }
    return msgspec.json.format(msgspec.json.encode(content), indent=2).decode()
