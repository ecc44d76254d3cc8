"""What the settings are made of: their base, and types with limits that several of them have."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

Name = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}\Z", description="a name (letters, digits, - and _, 64 at most)")
]
ModelId = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9._-]{1,96}(/[A-Za-z0-9._-]{1,96})?\Z",
        description="the id of a model (NAME or ORG/NAME, of letters, digits, dots, - and _)",
    ),
]
Text = Annotated[str, Meta(pattern=r"^[^\x00]*\Z")]  # no system call takes the character NUL
FilePath = Annotated[str, Meta(pattern=r"^[^\x00]+\Z", description="the path of a file or folder")]
Rate = Annotated[int, Meta(ge=1000, le=768_000, description="a sample rate (Hz, 1000 to 768000)")]
Channels = Annotated[int, Meta(ge=1, le=64)]
Unit = Annotated[float, Meta(ge=0, le=1)]
# Each number has both limits: without an upper one, `inf` and integers of a hundred digits would be valid
Count = Annotated[int, Meta(ge=1, le=1_000_000)]
NotNegative = Annotated[float, Meta(ge=0, le=86_400)]
Milliseconds = Annotated[int, Meta(ge=0, le=600_000)]


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all groups of settings: frozen, and an unknown key is an error."""
