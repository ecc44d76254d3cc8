"""Configuration files, from the bytes on the disk to the settings in force."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from random import Random

import msgspec

from earmark.config import settings as config
from earmark.config.brokers import Mqtt
from earmark.config.complaints import useless
from earmark.config.file import load
from earmark.config.resolve import CommandLine, apply
from earmark.config.sources import Microphone
from earmark.errors import ConfigError
from earmark.perimeter.bind import address
from earmark.tomlfile.values import toml
from tests.daemon import ROOT
from tests.fuzz.target import Broken, Target

TABLES: dict[str, type[msgspec.Struct]] = {
    "server": config.Server,
    "http": config.Http,
    "worker": config.Worker,
    "journal": config.Journal,
    "clips": config.Clips,
    "source": Microphone,
    "model": config.Model,
    "classifier": config.Classifier,
    "classifier.vad": config.Vad,
    "classifier.decide": config.Decide,
    "publish": Mqtt,
}
DEFAULTS = {
    table: {field.name: field.default for field in msgspec.structs.fields(kind)} for table, kind in TABLES.items()
}
LISTS = {"source", "model", "classifier", "publish"}
VALUES = (
    *("0", "1", "-1", "0.5", "nan", "inf", "-inf", "1e400", "true", "false", '""', '"desk"', '"commands"', "[]", "{}"),
    *('"speech"', '"sliding"', '"utterance"', '"open"', '"microphone"', '"file"', '"command"', '"network"', '"a.wav"'),
    *(
        '["a"]',
        '["desk"]',
        '["22:00-07:00"]',
        '"/(/"',
        '"/a+/"',
        '"127.0.0.1:0"',
        '"[::]:1"',
        '"~nobody/x"',
        "1979-05-27",
    ),
    *(
        '"\\u0000"',
        '"\\n"',
        "07:32:00",
        "0x10",
        "1_000",
        "9" * 30,
        "'''a\nb'''",
        '{a = 0.5, "b c" = 2}',
        '[[1], ["a"]]',
    ),
)
LINE = re.compile(r"(, line \d+)?: .+")
FILE = "earmark.toml"


class Configuration(Target):
    """The file that `earmarkd --config` reads, and again at each reload."""

    name = "config"
    max_bytes = 16_384
    slow = 1.0  # tomllib takes the square of the parts of a dotted key, and nobody but the operator writes the file
    words: Sequence[bytes] = (
        *(f"[{table}]\n".encode() for table in TABLES),
        *(f"[[{table}]]\n".encode() for table in LISTS),
        *(f"{field.name} = ".encode() for kind in TABLES.values() for field in msgspec.structs.fields(kind)),
        *(value.encode() for value in VALUES),
        *(
            b"\n",
            b"=",
            b".",
            b'"',
            b"'''",
            b'"""',
            b"#",
            b"[",
            b"]",
            b"[" * 500,
            b"a." * 300,
            b'"\\n" = 1\n',
            b'"\xc2\x85" = 1\n',
        ),
    )

    def __init__(self) -> None:
        shared = Path("/dev/shm")
        self._folder = tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None)
        self._file = Path(self._folder.name) / FILE

    def close(self) -> None:
        self._folder.cleanup()

    def seeds(self) -> Sequence[bytes]:
        examples = sorted((ROOT / "config").rglob("*.toml"))
        return [*(file.read_bytes() for file in examples), b"", b'[[source]]\nname = "desk"\nkind = "network"\n']

    def grow(self, chance: Random) -> bytes:
        """Return a file with some tables, whose settings exist and whose values sometimes fit."""
        lines = []
        for table in chance.sample(sorted(TABLES), chance.randrange(1, 4)):
            lines.append(f"[[{table}]]" if table in LISTS and chance.random() < 0.95 else f"[{table}]")
            names = list(DEFAULTS[table])
            if "name" in names and chance.random() < 0.9:
                lines.append(f'name = "{chance.choice(("desk", "commands", "a/b"))}"')
            if table == "source" and chance.random() < 0.9:
                lines.append(f'kind = "{chance.choice(("microphone", "file", "command", "network"))}"')
            for name in chance.sample(names, min(len(names), chance.randrange(4))):
                lines.append(f"{name} = {self._value(table, name, chance)}")
        return "\n".join(lines).encode()

    def _value(self, table: str, name: str, chance: Random) -> str:
        if chance.random() < 0.5:
            return chance.choice(VALUES)
        try:
            return toml(msgspec.to_builtins(DEFAULTS[table][name]))
        except (TypeError, ValueError):
            return chance.choice(VALUES)

    def feed(self, data: bytes) -> str:
        self._file.write_bytes(data)
        try:
            found = load(self._file)
        except ConfigError as error:
            for line in str(error).split("\n"):
                rest = line.removeprefix(str(self._file))
                if rest == line or not LINE.fullmatch(rest) or not line.isprintable():
                    raise Broken(f"a line that does not say where: {line!r}") from error
            return str(error).removeprefix(f"{self._file}")[:60]
        if msgspec.convert(msgspec.to_builtins(found), config.Config) != found:
            raise Broken("settings that are not what they are written as")
        for sentence in useless(found):
            if not sentence.isprintable():
                raise Broken(f"a warning of more than one line: {sentence!r}")
        apply(CommandLine(listen="127.0.0.1:0"), found)
        try:
            address(found.server.listen)
        except ConfigError as error:
            return str(error)[:40]
        return f"ok {len(found.source)} {len(found.classifier)}"
