"""How a model process lives: it dies with its parent, and may be forked from a template."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import signal
import socket
import sys
import warnings
from collections.abc import Callable
from typing import NoReturn

logger = logging.getLogger(__name__)

PR_SET_PDEATHSIG = 1


def die_with(parent: int) -> None:
    """Have this process killed when the parent dies, even if it hangs in a GPU call. Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the parent died before the line above
            sys.exit(1)


def serve_forked(
    connection: socket.socket | None, orders: socket.socket, serve: Callable[[socket.socket], None]
) -> None:
    """Fork a process that serves the connection, and another one for each that `orders` brings, until its end.

    This process has no threads of its own, and touches no GPU, so that its forks may do as they like.
    """
    connection = connection or ordered(orders)
    while connection is not None:
        pid = fork()
        if pid == 0:
            orders.close()
            run_fork(connection, serve)
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


def run_fork(connection: socket.socket, serve: Callable[[socket.socket], None]) -> NoReturn:
    """Serve the connection in a process that was just forked, and end that without returning to what it copied."""
    status = 1
    try:
        die_with(os.getppid())
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the daemon is gone
            serve(connection)
        status = 0
    except BaseException:
        logger.critical("it ends: an error that nobody expected", exc_info=True)
    finally:
        os._exit(status)
