"""The process that runs the models: `python -m earmark.worker.serve ENGINES SOCKET MEMORY PARENT [CONTROL]`.

earmark.launching.launch starts it, with inherited descriptors and the parent's process id. ENGINES are those that it
imports at once, as in "onnx,torch"; another one is imported when a model needs it. One thread takes requests in order,
another one loads models meanwhile, a third one tells that the process lives. The process ends when it is told to, when
the socket ends, and on Linux by a signal as soon as the daemon dies.

With CONTROL the process imports the ENGINES and is then a template: it forks the process that serves SOCKET, or the
first descriptor that comes on CONTROL if SOCKET is -1. When that one has ended it tells the exit status on CONTROL, and
forks the next one for the descriptor that comes there.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import json
import logging
import os
import queue
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import BinaryIO, cast

from earmark.audio.types import Floats
from earmark.cuda.ahead import Ahead
from earmark.engines import wire
from earmark.errors import EarmarkError
from earmark.placement.choice import Engine
from earmark.runtimes import limits
from earmark.runtimes.runtime import IMPORTS, runtime
from earmark.sparing import Sparing
from earmark.worker.forking import die_with, serve_forked
from earmark.worker.loading import Loader, Refusal, Served, sentence

logger = logging.getLogger(__name__)

# Batches of many sizes leave the heap in pieces: after 400 of them glibc kept 80 MB more than the models take, after
# 600 of up to 32 windows 570 MB. To return that takes 2 to 10 ms, and the next batch is not slower. To give smaller
# blocks pages of their own (M_MMAP_THRESHOLD), as the daemon does, costs large batches a quarter of their speed
RETURN_SECONDS = 10.0
REST_SECONDS = 10.0  # without a batch, after which memory that only large ones need is given back


def main() -> None:
    engines = [cast(Engine, name) for name in sys.argv[1].split(",") if name]
    channel, memory, parent, *control = map(int, sys.argv[2:])
    # Ctrl-C and systemd signal the whole group. The daemon finishes the batch in flight and then ends this process
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    die_with(parent)
    log_to_daemon()
    connection = socket.socket(fileno=channel) if channel >= 0 else None
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the daemon is gone
        for engine in engines:
            if connection is not None:
                connection.sendall(wire.frame(wire.Progress("starting", IMPORTS[engine])))
            with contextlib.suppress(ImportError):  # told again when a model needs it
                runtime(engine)
        gc.collect()
        gc.freeze()  # else a collection after an unload goes over 340,000 objects that torch has, which takes a second
        if control:
            with socket.socket(fileno=control[0]) as orders:
                serve_forked(connection, orders, functools.partial(serve, memory=memory))
        elif connection is not None:
            serve(connection, memory)


class Record(logging.Formatter):
    """Formats a record as earmark.launching.worker_log takes it."""

    def format(self, record: logging.LogRecord) -> str:
        told: dict[str, object] = {"level": record.levelno, "message": record.getMessage()}
        if record.exc_info and record.exc_info[1] is not None:
            told["traceback"] = "".join(traceback.format_exception(record.exc_info[1])).rstrip()
        return wire.RECORD.decode() + json.dumps(told)


def log_to_daemon() -> None:
    """Write what is logged to the standard error, which is a pipe to the daemon."""
    handler = logging.StreamHandler()
    handler.setFormatter(Record())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


def serve(connection: socket.socket, memory: int) -> None:
    """Answer requests until Stop or the end of the stream."""
    server: ModelServer | None = None
    with connection, connection.makefile("rb") as requests:
        while (request := receive(requests)) is not None:
            match request:
                case wire.Start():
                    server = ModelServer(request, connection, wire.Slots(memory))
                case wire.Load() if server:
                    server.load(request)
                case wire.Unload() if server:
                    server.unload(request)
                case wire.Classify() if server:
                    server.classify(request)
                case wire.Encode() if server:
                    server.encode(request)
                case _:
                    return


def receive(requests: BinaryIO) -> wire.Request | None:
    """Return the next request. None at the end of the stream, even in the middle of a message."""
    header = requests.read(wire.HEADER)
    size = int.from_bytes(header, "big")
    body = requests.read(size)
    return wire.decode_request(body) if len(header) == wire.HEADER and len(body) == size else None


class ModelServer:
    """Loads and unloads models, and classifies batches with them.

    The caller's thread classifies. A thread of the server's own loads one model after the other meanwhile, and another
    one sends a Beat now and then; both end with the process. Where batches overlap, so does one that answers those that
    the caller's thread has begun.
    """

    def __init__(self, settings: wire.Start, connection: socket.socket, slots: wire.Slots) -> None:
        self._settings = settings
        self._connection = connection
        self._loader = Loader(settings, self._tell, self._send)
        self._ahead = Ahead() if settings.transfers == "overlapped" else None
        self._slots = slots
        self._models: dict[str, Served] = {}
        self._returns = Sparing(1, RETURN_SECONDS)
        self._busy_at = 0.0  # when the newest batch came
        self._sending = threading.Lock()
        self._changes: queue.SimpleQueue[wire.Load | wire.Unload] = queue.SimpleQueue()
        self._send(wire.Serving(os.getpid()))
        threading.Thread(target=self._beat, name="beat", daemon=True).start()
        threading.Thread(target=self._load_all, name="load", daemon=True).start()

    def load(self, request: wire.Load) -> None:
        """Have a model loaded; Loaded or Refused answers."""
        self._changes.put(request)

    def unload(self, request: wire.Unload) -> None:
        """Free a model at once, even while another one is being loaded; Unloaded answers.

        The loading thread frees it a second time, because it may be at work on a Load of the same model, and answers.
        """
        self._free(request.model)
        self._changes.put(request)

    def _beat(self) -> None:
        with contextlib.suppress(OSError):  # the daemon is gone, or this process ends
            while True:
                time.sleep(wire.BEAT_SECONDS)
                self._send(wire.Beat())

    def _load_all(self) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the daemon is gone
            while True:
                match self._next_change():
                    case None:
                        self._rest()
                    case wire.Load() as request:
                        self._load(request)
                    case wire.Unload(model=name):
                        self._free(name)
                        self._send(wire.Unloaded(name))

    def _next_change(self) -> wire.Load | wire.Unload | None:
        """Return the next request about models, or None after a while without one."""
        try:
            return self._changes.get(timeout=REST_SECONDS)
        except queue.Empty:
            return None

    def _rest(self) -> None:
        """Let the models give back what they do not need, if there has been no batch for a while."""
        if time.monotonic() - self._busy_at >= REST_SECONDS:
            for served in list(self._models.values()):
                served.model.rest()

    def _free(self, name: str) -> None:
        served = self._models.pop(name, None)
        if served is not None:
            free_memory = served.runtime.free_memory
            del served
            free_memory()

    def _load(self, request: wire.Load) -> None:
        """Load a model and warm it up. A failure concerns this model alone."""
        self._tell(f"loading {request.model}")
        limits.unbound_data()
        try:
            served, reply = self._loader.load(request)
        except Refusal as error:
            self._send(wire.Refused(request.model, str(error), error.device))
        else:
            self._models[request.model] = served
            if served.device == "cpu":  # a GPU's driver maps more than it uses
                limits.bound_data(self._settings.memory)
            self._send(reply)

    def classify(self, request: wire.Classify) -> None:
        """Answer with logits or, if the model raises an error, with a sentence."""
        served, self._busy_at = self._models.get(request.model), time.monotonic()
        samples = self._slots.rows(request.slot, request.count, request.length)
        if self._ahead is not None:
            begin = served.model.begin if served is not None else None
            if begin is not None:
                with contextlib.suppress(Exception):  # what is wrong with it shows again below, when it is alone
                    waits = begin(samples)
                    self._ahead.put(lambda: self._answer(request, served, waits))
                    return
            self._ahead.drain()
        self._answer(request, served, lambda: classified(served, request, samples))

    def _answer(self, request: wire.Classify, served: Served | None, logits_of: Callable[[], Floats]) -> None:
        try:
            logits = logits_of()
        except Exception as error:
            if served is not None and (served.runtime.is_broken(error) or is_out_of_memory(served, request, error)):
                self._send(wire.Broken(sentence(error)))
                raise  # ends the process; the next one gets a new CUDA context, and memory that is not in pieces
            logger.warning("%s failed on %d x %d samples", request.model, request.count, request.length, exc_info=True)
            self._send(wire.Failure(request.number, f"{request.model}: {sentence(error)}"))
        else:
            self._send(wire.Logits(request.number, logits.shape[1], logits.tobytes()))
        if self._returns.passes(time.monotonic()):
            limits.return_freed()

    def encode(self, request: wire.Encode) -> None:
        """Answer with the vectors of texts or, if the model raises an error, with a sentence."""
        served, self._busy_at = self._models.get(request.model), time.monotonic()
        if self._ahead is not None:
            self._ahead.drain()
        try:
            if served is None:
                raise KeyError(request.model)
            vectors = served.model.encode(request.texts)
        except EarmarkError as error:
            self._send(wire.Failure(request.number, str(error), refused=True))
        except Exception as error:
            if served is not None and served.runtime.is_broken(error):
                self._send(wire.Broken(sentence(error)))
                raise
            logger.warning("%s failed on %d texts", request.model, len(request.texts), exc_info=True)
            self._send(wire.Failure(request.number, f"{request.model}: {sentence(error)}"))
        else:
            self._send(wire.Logits(request.number, vectors.shape[1], vectors.tobytes()))

    def _tell(self, waited: str) -> None:
        self._send(wire.Progress("loading", waited))

    def _send(self, reply: wire.Reply) -> None:
        with self._sending:
            self._connection.sendall(wire.frame(reply))


def classified(served: Served | None, request: wire.Classify, samples: Floats) -> Floats:
    """Return the logits of a batch. Raises what the model raises, and KeyError if there is none."""
    if served is None:
        raise KeyError(request.model)
    return served.model.classify(samples)


def is_out_of_memory(served: Served, request: wire.Classify, error: Exception) -> bool:
    """Return whether not even one window fits, and not only because it is longer than usual for a GPU."""
    if not served.runtime.is_short_of_memory(error):
        return False
    return served.device == "cpu" or request.length <= served.length


if __name__ == "__main__":
    main()
