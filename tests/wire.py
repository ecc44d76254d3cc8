"""A network between this machine and a program on another one, which loses packets as a test wants.

The other machine is a network namespace of the kernel. Each end of the wire is a TUN device, whose packets pass through
this process. That needs root on Linux.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

if sys.platform == "linux":
    import fcntl

_NUMBER = os.getpid() % 2**14  # of the network, among those of other processes of tests
_NETWORK = f"198.18.{_NUMBER >> 6}."  # for such tests (RFC 2544)
HERE, THERE = (f"{_NETWORK}{(_NUMBER & 63) * 4 + host}" for host in (1, 2))
_DEVICES = (f"earmark{_NUMBER}a", f"earmark{_NUMBER}b")
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000  # of linux/if_tun.h
_PACKET = 65536
_START = "import sys; sys.stdin.readline(); exec(sys.stdin.read())"


def missing() -> str:
    """Return what this machine lacks for such a network, or nothing."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "a network namespace needs root on Linux"
    if not Path("/dev/net/tun").exists():
        return "there is no /dev/net/tun"
    lacking = [tool for tool in ("ip", "unshare", "nsenter") if shutil.which(tool) is None]
    if lacking:
        return f"not installed: {', '.join(lacking)}"
    tried = subprocess.run(["unshare", "--net", "true"], capture_output=True, text=True)
    return "" if tried.returncode == 0 else f"no network namespace can be made: {tried.stderr.strip()}"


class Wire:
    """The network, and the program at its other end.

    `lost` is the part of the packets that are lost, in both directions; 1.0 cuts the wire.
    """

    def __init__(self, program: subprocess.Popen[bytes]) -> None:
        self.lost = 0.0
        self.program = program
        self._chance = random.Random(8)

    def passes(self) -> bool:
        """Return whether the next packet passes."""
        return self._chance.random() >= self.lost


@contextlib.asynccontextmanager
async def wire(script: str, *arguments: str) -> AsyncIterator[Wire]:
    """Run a Python script on the other machine until the end. Its first argument is the address of this one."""
    loop = asyncio.get_running_loop()
    command = ["unshare", "--net", sys.executable, "-c", _START, HERE, *arguments]
    with (
        _device(_DEVICES[0]) as here,
        _device(_DEVICES[1]) as there,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program,
    ):
        made = Wire(program)

        def forward(source: int, target: int) -> None:
            packet = os.read(source, _PACKET)
            if made.passes():
                with contextlib.suppress(OSError):  # the other end is not up yet, or its program has ended
                    os.write(target, packet)

        try:
            await asyncio.to_thread(_connect, program.pid)
            loop.add_reader(here, forward, here, there)
            loop.add_reader(there, forward, there, here)
            assert program.stdin is not None
            program.stdin.write(f"\n{script}".encode())
            program.stdin.close()
            yield made
        finally:
            loop.remove_reader(here)
            loop.remove_reader(there)
            program.kill()


@contextlib.contextmanager
def _device(name: str) -> Iterator[int]:
    """Make a TUN device, which goes when its descriptor is closed."""
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    try:
        fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TUN | _IFF_NO_PI))
        yield descriptor
    finally:
        os.close(descriptor)


def _connect(pid: int) -> None:
    """Give both devices their addresses, the second one in the network namespace of the process `pid`."""
    ours = Path("/proc/self/ns/net").readlink()
    while Path(f"/proc/{pid}/ns/net").readlink() == ours:  # until unshare has done its work
        pass
    there = ("nsenter", "--target", str(pid), "--net")
    for line in (
        ("ip", "link", "set", _DEVICES[1], "netns", str(pid)),
        ("ip", "address", "add", HERE, "peer", THERE, "dev", _DEVICES[0]),
        ("ip", "link", "set", _DEVICES[0], "up"),
        (*there, "ip", "address", "add", THERE, "peer", HERE, "dev", _DEVICES[1]),
        (*there, "ip", "link", "set", _DEVICES[1], "up"),
    ):
        subprocess.run(line, check=True, capture_output=True)
