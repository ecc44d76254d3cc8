"""The parsers that strangers reach, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tests.fuzz.target import Target
from tests.fuzz.targets.audio import Audio, PlainAudio
from tests.fuzz.targets.bodies import Clip, Compressed, Patch
from tests.fuzz.targets.configuration import Configuration
from tests.fuzz.targets.daemon import WholeDaemon
from tests.fuzz.targets.head import Head
from tests.fuzz.targets.headers import Headers, TokenFile
from tests.fuzz.targets.messages import Subscribe, Uplink
from tests.fuzz.targets.query import Labels, Query

KINDS: Sequence[Callable[[], Target]] = (
    *(
        Head,
        Query,
        Labels,
        Subscribe,
        Uplink,
        Clip,
        Compressed,
        Patch,
        TokenFile,
        Headers,
        Configuration,
        Audio,
        PlainAudio,
    ),
)
TARGETS: Mapping[str, Callable[[], Target]] = {str(getattr(kind, "name")): kind for kind in KINDS}  # noqa: B009
"""Those that run in the process of the fuzzer."""

ALL: Mapping[str, Callable[[], Target]] = {**TARGETS, WholeDaemon.name: WholeDaemon}
