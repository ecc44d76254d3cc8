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
import ctypes
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
import warnings
from pathlib import Path
from typing import BinaryIO, NamedTuple, NoReturn, cast

import msgspec

from earmark import cores
from earmark.engines import wire
from earmark.errors import EarmarkError
from earmark.placement import processor
from earmark.placement.choice import Engine, precision_of
from earmark.runtimes import limits, threads
from earmark.runtimes.runtime import IMPORTS, MODULES, Model, Runtime, Wanted, runtime
from earmark.sparing import Sparing

logger = logging.getLogger(__name__)

PR_SET_PDEATHSIG = 1
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
                serve_forked(connection, memory, orders)
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


def serve_forked(connection: socket.socket | None, memory: int, orders: socket.socket) -> None:
    """Fork a process that serves the connection, and another one for each that `orders` brings, until its end.

    This process has no threads of its own, and touches no GPU, so that its forks may do as they like.
    """
    connection = connection or ordered(orders)
    while connection is not None:
        pid = fork()
        if pid == 0:
            orders.close()
            run_fork(connection, memory)
        connection.close()
        # The status is told before the process is reaped, so that the daemon never kills another one of that id
        ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        assert ended is not None  # it waited
        status = ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
        orders.send(str(status).encode())
        connection = ordered(orders)
        os.waitpid(pid, 0)


def ordered(orders: socket.socket) -> socket.socket | None:
    """Wait for the next connection. None at the end of the daemon."""
    _, descriptors, *_ = socket.recv_fds(orders, 16, 1)
    return socket.socket(fileno=descriptors[0]) if descriptors else None


def fork() -> int:
    """Return os.fork()."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there are threads: OpenBLAS has some, and takes care of them itself
        return os.fork()


def run_fork(connection: socket.socket, memory: int) -> NoReturn:
    """Serve the connection in a process that was just forked, and end that without returning to what it copied."""
    status = 1
    try:
        die_with(os.getppid())
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the daemon is gone
            serve(connection, memory)
        status = 0
    except BaseException:
        logger.critical("it ends: an error that nobody expected", exc_info=True)
    finally:
        os._exit(status)


def die_with(parent: int) -> None:
    """Have this process killed when the parent dies, even if it hangs in a GPU call. Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the parent died before the line above
            sys.exit(1)


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


class Refusal(Exception):
    """A model cannot be served, for a reason in a sentence. `device` is whether the GPU is at fault."""

    def __init__(self, sentence: str, *, device: bool = False) -> None:
        super().__init__(sentence)
        self.device = device


class Served(NamedTuple):
    """A model that is served, with its runtime. `length` is that of a usual window, in samples."""

    model: Model
    runtime: Runtime
    device: str
    length: int


class ModelServer:
    """Loads and unloads models, and classifies batches with them.

    The caller's thread classifies. A thread of the server's own loads one model after the other meanwhile, and another
    one sends a Beat now and then; both end with the process.
    """

    def __init__(self, settings: wire.Start, connection: socket.socket, slots: wire.Slots) -> None:
        self._settings = settings
        self._connection = connection
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
        self._send(wire.Progress("loading", f"loading {request.model}"))
        limits.unbound_data()
        try:
            served, reply = self._loaded(request)
        except Refusal as error:
            self._send(wire.Refused(request.model, str(error), error.device))
        else:
            self._models[request.model] = served
            if served.device == "cpu":  # a GPU's driver maps more than it uses
                limits.bound_data(self._settings.memory)
            self._send(reply)

    def _loaded(self, request: wire.Load) -> tuple[Served, wire.Loaded]:
        """Load a model with the engine that was chosen, or else with torch if that may be. Raises Refusal."""
        if request.engine == "torch" or request.strict:
            return self._loaded_with(request.engine, request, request.why)
        try:
            return self._loaded_with(request.engine, request, request.why)
        except Refusal as error:
            logger.warning("%s; torch runs it instead", error)
            why = str(error).removeprefix(f"{request.model}: ")
            return self._loaded_with("torch", msgspec.structs.replace(request, threads=0), why)

    def _loaded_with(self, engine: Engine, request: wire.Load, why: str) -> tuple[Served, wire.Loaded]:
        name, device = request.model, ""
        if MODULES[engine] not in sys.modules:
            self._send(wire.Progress("loading", f"{IMPORTS[engine]} for {name}"))
        try:
            chosen = runtime(engine)
        except ImportError as error:
            logger.warning("%s was not loaded", name, exc_info=True)
            raise Refusal(f"{name}: {error.name or engine} is not installed: pip install 'earmark[daemon]'") from None
        try:
            device = chosen.choose(self._settings.device)
            precision, told = precision_of(self._settings.precision, device, processor.flags())
            is_measured = device == "cpu" and not (request.threads or self._settings.threads)
            count = self._settings.threads or request.threads or (1 if is_measured else cores.usable())
            folder = Path(request.path)
            model = chosen.load(Wanted(name, folder, request.labels, device, precision, count))
            model.warm_up(request.length, self._settings.max_batch)
            if is_measured:
                model = threads.fastest(
                    model, request.length, cores.usable(), self._settings.max_batch, time.perf_counter
                )
            chosen.free_memory()  # loading takes more than what is loaded
        except EarmarkError as error:
            reason = str(error)
            if request.path in reason:  # it may be told to clients, who are told no path
                reason = f"{name}: {_without_path(reason, request)}"
            raise Refusal(reason, device=not device) from error
        except Exception as error:
            logger.warning("%s was not loaded", name, exc_info=True)
            reason = _without_path(sentence(error), request)
            at_fault = device != "cpu" and (chosen.is_short_of_memory(error) or chosen.is_broken(error))
            raise Refusal(f"{name}: cannot be loaded: {reason}", device=at_fault) from error
        count = model.threads if device == "cpu" else 0
        loaded = wire.Loaded(name, device, engine, precision, count, "; ".join(filter(None, (why, told))), is_measured)
        return Served(model, chosen, device, request.length), loaded

    def classify(self, request: wire.Classify) -> None:
        """Answer with logits or, if the model raises an error, with a sentence."""
        served, self._busy_at = self._models.get(request.model), time.monotonic()
        try:
            if served is None:
                raise KeyError(request.model)
            logits = served.model.classify(self._slots.rows(request.slot, request.count, request.length))
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

    def _send(self, reply: wire.Reply) -> None:
        with self._sending:
            self._connection.sendall(wire.frame(reply))


def _without_path(sentence: str, request: wire.Load) -> str:
    return sentence.replace(request.path, "the checkpoint")


def is_out_of_memory(served: Served, request: wire.Classify, error: Exception) -> bool:
    """Return whether not even one window fits, and not only because it is longer than usual for a GPU."""
    if not served.runtime.is_short_of_memory(error):
        return False
    return served.device == "cpu" or request.length <= served.length


def sentence(error: Exception) -> str:
    """Return the kind of the error and the first line of its text."""
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"


if __name__ == "__main__":
    main()
