"""A process that imports torch and forks those that need it: `python template.py SOCKET`.

A client connects for each process that it wants, and sends its descriptors and what is to run with them. The answer is
the exit status, negative for a signal. A client that is gone has its process killed. All ends with standard input.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import runpy
import selectors
import signal
import socket
import sys
import traceback
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NoReturn

PLACES = 500  # where descriptors wait until they get the numbers that they have in the client


@dataclass(frozen=True)
class Forked:
    pid: int
    pidfd: int
    client: socket.socket


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the tests, and they end this
    with socket.socket(socket.AF_UNIX) as listener, selectors.DefaultSelector() as selector:
        listener.bind(sys.argv[1])
        listener.listen(64)
        os.dup2(2, 1)  # which tells that it listens
        selector.register(sys.stdin, selectors.EVENT_READ)
        selector.register(listener, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                match key.data:
                    case Forked() as forked:
                        finish(forked, selector)
                    case _ if key.fileobj is listener:
                        client, _ = listener.accept()
                        begin(client, selector)
                    case _:
                        for other in list(selector.get_map().values()):
                            if isinstance(other.data, Forked):
                                os.kill(other.data.pid, signal.SIGKILL)
                        return


def begin(client: socket.socket, selector: selectors.BaseSelector) -> None:
    """Fork the process that a client asks for, and look after both."""
    import_all()
    length, descriptors, _, _ = socket.recv_fds(client, 4, 250)
    text = b""
    while len(text) < int.from_bytes(length, "big") and (part := client.recv(65536)):
        text += part
    if len(text) < int.from_bytes(length, "big") or not length:  # the client is gone
        client.close()
        for number in descriptors:
            os.close(number)
        return
    pid = os.fork()
    if pid == 0:
        run(json.loads(text), descriptors)
    for number in descriptors:
        os.close(number)
    forked = Forked(pid, os.pidfd_open(pid), client)
    selector.register(client, selectors.EVENT_READ, forked)
    selector.register(forked.pidfd, selectors.EVENT_READ, forked)


def finish(forked: Forked, selector: selectors.BaseSelector) -> None:
    """Tell the client how its process ended; kill that first if the client is what has ended."""
    if forked.pidfd not in selector.get_map():
        return  # both have ended
    os.kill(forked.pid, signal.SIGKILL)  # no more than a zombie, if it has ended
    _, status = os.waitpid(forked.pid, 0)
    with suppress(OSError):
        forked.client.send(str(os.waitstatus_to_exitcode(status)).encode())
    selector.unregister(forked.client)
    selector.unregister(forked.pidfd)
    forked.client.close()
    os.close(forked.pidfd)


def import_all() -> None:
    """Import what loading an embedded model imports, in one thread: others would be missing in a fork."""
    if "torch" in sys.modules:
        return
    import torch

    from earmark.checkpoints import reader
    from earmark.worker import model

    model.use_threads(1)
    model.load("a/model", reader.EMBEDDED / "commands", torch.device("cpu"), "fp32")  # no GPU may be asked yet
    gc.collect()
    gc.freeze()


def run(request: dict[str, Any], descriptors: list[int]) -> NoReturn:
    """Become the process that was asked for."""
    status = 1
    try:
        wanted = request["descriptors"]
        for place, number in enumerate(descriptors):
            os.dup2(number, PLACES + place)
        os.closerange(0, PLACES)
        for place, number in enumerate(wanted):
            os.dup2(PLACES + place, number)
        os.closerange(PLACES, PLACES + len(wanted))
        os.chdir(request["folder"])
        os.environ.clear()
        os.environ.update(request["environment"])
        resource.setrlimit(resource.RLIMIT_NOFILE, tuple(request["files"]))
        arguments = request["arguments"]
        if len(arguments) > 3 and arguments[3] == str(request["parent"]):
            arguments[3] = str(os.getppid())  # with which it dies
        sys.argv[1:] = arguments
        sys.modules.pop(request["module"], None)  # it is run anew
        signal.signal(signal.SIGINT, signal.default_int_handler)
        runpy.run_module(request["module"], run_name="__main__", alter_sys=True)
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
        os._exit(status)


if __name__ == "__main__":
    main()
