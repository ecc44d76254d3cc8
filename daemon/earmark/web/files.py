"""The files of the page. Their names begin with a hash of all of them, so that a browser may keep them for ever."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

INSTALLED, SOURCES = Path(__file__).parent / "files", Path(__file__).parents[3] / "clients"
FOLDERS: Mapping[str, Path] = (
    {"": INSTALLED / "page", "client/": INSTALLED / "client"}
    if INSTALLED.is_dir()
    else {"": SOURCES / "web", "client/": SOURCES / "js"}
)
"""Where the files of a prefix lie: in a wheel in this package, in the source tree in `clients`."""

INDEX = "index.html"
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}
UNSERVED = {"package.json"}  # it tells Node.js that these are modules
COMMENT = re.compile(rb"^[ \t]*(//[^\n]*|/\*\*((?!\*/).)*\*/[ \t]*)$", re.MULTILINE | re.DOTALL)  # in lines of its own
PLACE = "HASH"  # stands for the hash in the index, which alone has no hash in its name


@dataclass(frozen=True, slots=True)
class File:
    """The content of a file and its media type."""

    content: bytes
    media_type: str


@dataclass(frozen=True, slots=True)
class Page:
    """The index, and the other files by their names within the folder that the hash names."""

    index: bytes
    digest: str
    files: Mapping[str, File]


def load(folders: Mapping[str, Path] = FOLDERS) -> Page:
    """Read all files of the page."""
    files = {
        prefix + file.relative_to(folder).as_posix(): File(_sent(file), MEDIA_TYPES[file.suffix])
        for prefix, folder in folders.items()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.suffix in MEDIA_TYPES and file.name not in UNSERVED
    }
    index = files.pop(INDEX).content
    digest = hashlib.sha256(index)
    for name, file in files.items():
        digest.update(f"{name}\0{len(file.content)}\0".encode() + file.content)
    short = digest.hexdigest()[:16]
    return Page(index.replace(PLACE.encode(), short.encode()), short, files)


def _sent(file: Path) -> bytes:
    """Return a file as browsers get it: own modules without their comments, which are a tenth, with as many lines."""
    content = file.read_bytes()
    if file.suffix != ".js" or file.parent.name == "vendor":  # whose comments have its licence
        return content
    return COMMENT.sub(lambda found: b"\n" * found[0].count(b"\n"), content)
