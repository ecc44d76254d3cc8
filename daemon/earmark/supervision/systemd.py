"""Tell systemd how the service fares (sd_notify(3), sd_watchdog_enabled(3))."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

from earmark.columns import printable

MANAGER_SECONDS = 1.0  # for which a manager that does not read may hold the event loop


def notify(message: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Send e.g. "READY=1"; False where no service manager listens. Never raises: it is not worth dying for."""
    path = environment.get("NOTIFY_SOCKET", "")
    if not path.startswith(("/", "@")):
        return False
    address = "\0" + path[1:] if path.startswith("@") else path
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.settimeout(MANAGER_SECONDS)
            sock.sendto(message.encode(), address)
    except OSError:
        return False
    return True


def tell(status: str) -> None:
    """Have `systemctl status` show a sentence."""
    notify(f"STATUS={printable(status)}")


def watchdog_seconds(environment: Mapping[str, str] = os.environ, pid: int | None = None) -> float | None:
    """Return the seconds within which systemd wants a sign of life, or None if it wants none of this process."""
    try:
        meant = int(environment.get("WATCHDOG_PID") or os.getpid())
        seconds = int(environment.get("WATCHDOG_USEC", "")) / 1e6
    except ValueError:
        return None
    return seconds if seconds > 0 and meant == (os.getpid() if pid is None else pid) else None
