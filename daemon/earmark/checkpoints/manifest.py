"""The manifest that `earmark pull` writes beside a checkpoint: its origin, and the SHA-256 of every file."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from earmark.errors import ModelError

FILE = "manifest.json"


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """`revision` is the commit of 40 digits. `converted` has the files that were converted, if any."""

    id: str
    revision: str
    files: dict[str, str]  # name to SHA-256 in hexadecimal digits, of all files but the manifest itself
    converted: dict[str, str] = {}


def sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def write(folder: Path, model: str, revision: str, converted: dict[str, str]) -> None:
    """Write the manifest of all files that are in `folder` now."""
    files = {file.name: sha256(file) for file in sorted(folder.iterdir()) if file.name != FILE}
    text = msgspec.json.encode(Manifest(id=model, revision=revision, files=files, converted=converted))
    (folder / FILE).write_bytes(msgspec.json.format(text, indent=2) + b"\n")


def check(folder: Path) -> Manifest:
    """Return the manifest if every file is as it says. Raises ModelError that names the first file that is not."""
    try:
        manifest = msgspec.json.decode((folder / FILE).read_bytes(), type=Manifest)
        for name, expected in manifest.files.items():
            if sha256(folder / name) != expected:
                raise ModelError(f"{folder / name} is not the file that was fetched")
    except OSError as error:
        raise ModelError(f"{error.filename} cannot be read ({error.strerror})") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ModelError(f"{folder / FILE} is not a manifest ({error})") from error
    return manifest
