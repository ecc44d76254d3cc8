"""Certificates for tests, made by openssl. Each signs itself, so that it is its own authority too."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True, slots=True)
class Files:
    """A certificate for 127.0.0.1 and localhost, and its key."""

    certificate: Path
    key: Path

    def trusted(self) -> ssl.SSLContext:
        """What a client connects with that trusts this certificate and no other."""
        return ssl.create_default_context(cafile=str(self.certificate))

    def told(self, what: str) -> str:
        """What openssl tells of the certificate, such as its `enddate`."""
        command = ["openssl", "x509", "-noout", f"-{what}", "-in", str(self.certificate)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip().partition("=")[2]

    def put_in_place_of(self, other: Files) -> None:
        """Replace the other's files by copies, one after the other, each at once."""
        for ours, theirs in ((self.certificate, other.certificate), (self.key, other.key)):
            copy = theirs.with_name("copy")
            copy.touch(mode=0o600)
            copy.write_bytes(ours.read_bytes())
            os.replace(copy, theirs)


def make(folder: Path, name: str = "own") -> Files:
    """Make a certificate with a key of its own. Skips the test where there is no openssl."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    files = Files(folder / f"{name}.pem", folder / f"{name}.key")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-days", "2", "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"),
            *("-out", str(files.certificate), "-keyout", str(files.key)),
        ],
        check=True,
        capture_output=True,
    )
    files.key.chmod(0o600)
    return files
