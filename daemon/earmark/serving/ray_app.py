"""The applications of Ray Serve, one for each model.

`serve run earmark.serving.ray_app:app model=earmark/sounds` starts one; `earmark serve-ray` those of a configuration.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from earmark.checkpoints.catalogue import catalogue
from earmark.config.file import load
from earmark.config.settings import Config
from earmark.remote.application import application
from earmark.serving.applications import Arguments
from earmark.serving.deployment import Deployment


def app(arguments: dict[str, Any]) -> Any:
    """Return the application that serves one model. Ray Serve calls it."""
    chosen = msgspec.convert(arguments, Arguments, strict=False)
    return application_of(chosen, load(Path(chosen.config)) if chosen.config else Config())


def application_of(chosen: Arguments, settings: Config) -> Any:
    """Return the application of a model by these settings. Raises ModelError if it is not there."""
    checkpoint = catalogue(settings)[chosen.model].read()
    worker = settings.worker
    count: dict[str, Any] = {"num_replicas": chosen.replicas}
    if chosen.most_replicas > chosen.replicas:
        scaling = {"min_replicas": chosen.replicas, "max_replicas": chosen.most_replicas, "target_ongoing_requests": 2}
        count = {"autoscaling_config": scaling}
    resources = {"num_cpus": chosen.num_cpus, "num_gpus": chosen.num_gpus}
    device = "cuda" if chosen.num_gpus and worker.device == "auto" else worker.device
    deployment = Deployment.options(name=application(chosen.model), ray_actor_options=resources, **count)
    return deployment.bind(checkpoint.name, checkpoint.path, msgspec.structs.replace(worker, device=device))
