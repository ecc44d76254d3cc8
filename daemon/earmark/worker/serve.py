"""The process that owns torch: `python -m earmark.worker.serve SOCKET MEMORY PARENT`.

Started by earmark.inference.supervisor, with two inherited descriptors and the parent's process id. One thread takes
requests in order, another loads models beside it. It ends when it is told to, when the socket ends, and on Linux by
signal the moment the daemon dies.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import logging
import os
import queue
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from earmark.errors import EarmarkError
from earmark.inference import wire

if TYPE_CHECKING:
    from earmark.worker.model import AudioModel

logger = logging.getLogger(__name__)

PR_SET_PDEATHSIG = 1


def main() -> None:
    channel, memory, parent = map(int, sys.argv[1:])
    # Ctrl-C and systemd signal the whole group; the daemon finishes the batch in flight and then ends us
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    die_with(parent)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    with (
        contextlib.suppress(BrokenPipeError, ConnectionResetError),  # nobody is there to be answered any more
        socket.socket(fileno=channel) as connection,
        connection.makefile("rb") as requests,
    ):
        serve(requests, connection, wire.Slots(memory))


def die_with(parent: int) -> None:
    """Be killed when the parent dies: a hung GPU call would never look at the socket. Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the line above
            sys.exit(1)


def serve(requests: BinaryIO, connection: socket.socket, slots: wire.Slots) -> None:
    """Answer requests until Stop or the end of the stream."""
    service: ModelServer | None = None
    connection.sendall(wire.frame(wire.Progress("starting", "importing torch and transformers")))
    from earmark.worker import model  # takes 4 s  # noqa: F401

    gc.freeze()  # what was imported stays: a collection after an unload need not look at its half a million objects
    while (request := receive(requests)) is not None:
        match request:
            case wire.Start():
                service = ModelServer(request, connection, slots)
            case wire.Load() if service:
                service.load(request)
            case wire.Unload() if service:
                service.unload(request)
            case wire.Classify() if service:
                service.classify(request)
            case _:
                return


def receive(requests: BinaryIO) -> wire.Request | None:
    """The next request; None at the end of the stream, even in the middle of a message."""
    header = requests.read(wire.HEADER)
    size = int.from_bytes(header, "big")
    body = requests.read(size)
    return wire.decode_request(body) if len(header) == wire.HEADER and len(body) == size else None


class ModelServer:
    """The loaded models, and what is done with them.

    A thread of our own loads one model after the other, while the caller's classifies with those that are there; it
    ends with the process.
    """

    def __init__(self, settings: wire.Start, connection: socket.socket, slots: wire.Slots) -> None:
        from earmark.worker import model

        model.use_threads(settings.threads)
        self._settings = settings
        self._connection = connection
        self._slots = slots
        self._models: dict[str, AudioModel] = {}
        self._sending = threading.Lock()
        self._wanted: queue.SimpleQueue[wire.Load | wire.Unload] = queue.SimpleQueue()
        threading.Thread(target=self._load_all, name="load", daemon=True).start()

    def load(self, request: wire.Load) -> None:
        """Have a model loaded; Loaded or Refused answers."""
        self._wanted.put(request)

    def unload(self, request: wire.Unload) -> None:
        """Free a model at once, even while another one is being loaded; Unloaded answers.

        The loading thread frees it once more, and answers: it may be at work on a Load of the same model.
        """
        self._free(request.model)
        self._wanted.put(request)

    def _load_all(self) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the daemon is gone
            while True:
                match self._wanted.get():
                    case wire.Load() as request:
                        self._load(request)
                    case wire.Unload(model=name):
                        self._free(name)
                        self._send(wire.Unloaded(name))

    def _free(self, name: str) -> None:
        from earmark.worker import model

        if self._models.pop(name, None) is not None:
            model.free_memory()

    def _load(self, request: wire.Load) -> None:
        """Load and warm up; whatever goes wrong concerns this model alone."""
        from earmark.worker import model

        self._send(wire.Progress("loading", f"loading {request.model}"))
        try:
            device = model.choose_device(self._settings.device)
            loaded = model.load(request.model, Path(request.path), device, self._settings.precision)
            loaded.warm_up(request.length, self._settings.max_batch)
        except EarmarkError as error:
            self._send(wire.Refused(request.model, str(error)))
        except Exception as error:
            logger.warning("%s was not loaded", request.model, exc_info=True)
            reason = sentence(error).replace(request.path, "the checkpoint")
            self._send(wire.Refused(request.model, f"{request.model}: cannot be loaded: {reason}"))
        else:
            self._models[request.model] = loaded
            self._send(wire.Loaded(request.model, device.type))

    def classify(self, request: wire.Classify) -> None:
        """Answer with logits or, where the model raises, with a sentence."""
        from earmark.worker import model

        try:
            samples = self._slots.rows(request.slot, request.count, request.length)
            logits = self._models[request.model].classify(samples)
        except Exception as error:
            if model.is_broken(error):
                raise  # ends the process: a new one gets a new context
            logger.warning("%s failed on %d x %d samples", request.model, request.count, request.length, exc_info=True)
            self._send(wire.Failure(request.number, f"{request.model}: {sentence(error)}"))
        else:
            self._send(wire.Logits(request.number, logits.shape[1], logits.tobytes()))

    def _send(self, reply: wire.Reply) -> None:
        with self._sending:
            self._connection.sendall(wire.frame(reply))


def sentence(error: Exception) -> str:
    """The first line of what torch says, with the kind of error before it."""
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"


if __name__ == "__main__":
    main()
