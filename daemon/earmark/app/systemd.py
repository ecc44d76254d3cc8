"""Tell systemd how the service fares (sd_notify(3))."""

from __future__ import annotations

import os
import socket


def notify(message: str, environment: os._Environ[str] | dict[str, str] = os.environ) -> bool:
    """Send e.g. "READY=1"; False where no service manager listens. Never raises: it is not worth dying for."""
    path = environment.get("NOTIFY_SOCKET", "")
    if not path.startswith(("/", "@")):
        return False
    address = "\0" + path[1:] if path.startswith("@") else path
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.sendto(message.encode(), address)
    except OSError:
        return False
    return True
