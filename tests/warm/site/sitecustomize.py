"""Lets a template run the module that this process was started for; see tests/warm. Python imports this at its start.

This process stays, ends as the one that the template forked, and takes that one with it when it is killed.
"""

from __future__ import annotations

import os
import sys

# Their first argument has the engines, and the fourth the process that they die with
SERVING = ("earmark.worker.serve", "tests.sick_worker")
MODULES = (
    *SERVING,
    "earmark.fitting.fit",
    "earmark.worker.try_out",
    "earmark.exporting.run",
    "earmark.converting.convert",
    "earmark.worker.device",
)


def begin(address: str, module: str, arguments: list[str]) -> None:
    """Ask the template, wait for the end, and end in the same way."""
    import json
    import resource
    import signal
    import socket

    if module in SERVING and len(arguments) > 3:
        import ctypes

        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, signal.SIG_IGN)
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        if os.getppid() != int(arguments[3]):
            os._exit(1)
    with socket.socket(socket.AF_UNIX) as template:
        template.connect(address)
        names = set(os.listdir("/proc/self/fd")) - {str(template.fileno())}
        descriptors = [int(name) for name in names if os.path.exists(f"/proc/self/fd/{name}")]
        request = {
            "module": module,
            "arguments": arguments,
            "parent": os.getppid(),
            "environment": dict(os.environ),
            "folder": os.getcwd(),
            "descriptors": descriptors,
            "files": resource.getrlimit(resource.RLIMIT_NOFILE),
        }
        text = json.dumps(request).encode()
        socket.send_fds(template, [len(text).to_bytes(4, "big")], descriptors)
        template.sendall(text)
        for number in descriptors:
            os.close(number)  # else nobody would see that the other process closes it
        answer = template.recv(16)
    status = int(answer or b"1")
    if status < 0:
        signal.signal(-status, signal.SIG_DFL) if -status != signal.SIGKILL else None
        os.kill(os.getpid(), -status)
    os._exit(status)


if (place := os.environ.get("EARMARK_TESTS_TEMPLATE")) and sys.orig_argv[1:3] == ["-P", "-m"]:
    if sys.orig_argv[3] in MODULES and (sys.orig_argv[3] not in SERVING or "torch" in sys.orig_argv[4]):
        begin(place, sys.orig_argv[3], sys.orig_argv[4:])
