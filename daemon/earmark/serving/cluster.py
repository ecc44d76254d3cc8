"""Starts the applications of a configuration on Ray Serve, on this machine or in a cluster that is there."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

os.environ |= {"RAY_USAGE_STATS_ENABLED": "0"}  # read when ray is imported, which tells its makers of its use otherwise

import ray
from ray import serve
from ray.serve.config import HTTPOptions, gRPCOptions

from earmark.config.settings import Config
from earmark.errors import EarmarkError
from earmark.remote.application import application
from earmark.serving.applications import SERVICER, Arguments, Where, route
from earmark.serving.ray_app import application_of

Tell = Callable[[str], None]
TRIES = 5  # of starting Ray


def start(models: Sequence[Arguments], settings: Config, where: Where, tell: Tell) -> None:
    """Start an application for each model, and wait until all of them serve.

    Raises ModelError if a model is not there, and EarmarkError if Ray cannot start.
    """
    tell("starting Ray" if not where.address else f"joining the Ray cluster at {where.address}")
    _init({"address": where.address} if where.address else {"include_dashboard": False}, tell)
    serve.start(
        http_options=HTTPOptions(host=where.http_host, port=where.http_port),
        grpc_options=gRPCOptions(port=where.port, grpc_servicer_functions=[SERVICER], enable_reflection=False),
    )
    for each in models:
        tell(f"loading {each.model}: {each.replicas} replica{'s' if each.replicas > 1 else ''}")
        name = application(each.model)
        serve.run(application_of(each, settings), name=name, route_prefix=route(each.model))
        tell(f"{each.model} is served as the application {name}")


def _init(options: dict[str, Any], tell: Tell) -> None:
    """Start Ray or join it. Ray gives itself half a minute, which a busy machine may need longer than."""
    for tries_left in reversed(range(TRIES)):
        try:
            ray.init(**options, namespace="earmark", logging_level="warning")
        except Exception as error:
            ray.shutdown()
            if not tries_left:
                raise EarmarkError(f"Ray does not start: {error}") from None
            tell(f"Ray did not start ({error}); once more")
        else:
            return


def stop(models: Sequence[Arguments], where: Where) -> None:
    """End what start() began: the applications, and Ray if it was begun here. Does nothing if Ray did not start."""
    if not ray.is_initialized():
        return
    if where.address:
        for each in models:
            serve.delete(application(each.model))
    else:
        serve.shutdown()
    ray.shutdown()
