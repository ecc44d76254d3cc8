"""Waiting for the model of a request: it is loaded, refused, or the client is told to come back."""

from __future__ import annotations

from earmark.checkpoints.catalogue import Entry
from earmark.checkpoints.checkpoint import Checkpoint
from earmark.errors import ModelError, RequestError
from earmark.inference.registry import Registry

BUSY_DELAY_SECONDS = 0.5  # before a 503: the JavaScript client asks again at once, for ever


class ModelLoading(RequestError):
    """The model is not loaded yet, and will be in `estimate` seconds: a 503."""

    def __init__(self, model: str, estimate: float) -> None:
        super().__init__(503, f"Model {model} is currently loading")
        self.estimate = estimate


async def loaded(registry: Registry, entry: Entry, timeout: float, *, load: bool) -> Checkpoint:
    """Return the model when it is loaded, which is waited for `timeout` seconds at most.

    `load` says whether a model that is not loaded is asked for. Raises ModelLoading, and RequestError 500 if the model
    is refused.
    """
    try:
        checkpoint = await registry.checkpoint(entry)
        if load:
            await registry.request_load(entry)
        status = await registry.wait_settled(entry, timeout)
    except ModelError as error:
        raise RequestError(500, str(error)) from None
    if status.state == "refused":
        raise RequestError(500, status.reason)
    if status.state != "loaded":
        raise ModelLoading(entry.id, await registry.estimate(entry))
    return checkpoint
