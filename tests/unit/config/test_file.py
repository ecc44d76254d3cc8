from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from earmark.config import settings as config
from earmark.config.file import parse
from earmark.errors import ConfigError

DOCUMENTED = Path(__file__).parents[3] / "config" / "earmark.toml"


def documented() -> tuple[dict[str, Any], dict[str, Any]]:
    """The tables of config/earmark.toml as they stand, and with the settings in comments as well."""
    text = DOCUMENTED.read_text()
    lines = [line for line in text.splitlines() if not line.startswith("#labels")]
    everything = "\n".join(line[1:] if line[:1] == "#" and line[1:2].strip() else line for line in lines)
    return tomllib.loads(text), tomllib.loads(everything)


def test_the_documented_configuration_is_the_default() -> None:
    assert parse(documented()[0]) == config.Config()


@pytest.mark.parametrize(
    ("kind", "table"),
    [
        (config.Server, lambda tables: tables["server"]),
        (config.Http, lambda tables: tables["http"]),
        (config.Worker, lambda tables: tables["worker"]),
        (config.Microphone, lambda tables: tables["source"][0]),
        (config.File, lambda tables: tables["source"][1]),
        (config.Command, lambda tables: tables["source"][2]),
        (config.Model, lambda tables: tables["model"][0]),
        (config.Classifier, lambda tables: tables["classifier"][0]),
        (config.Vad, lambda tables: tables["classifier"][0]["vad"]),
        (config.Decide, lambda tables: tables["classifier"][0]["decide"]),
    ],
)
def test_every_setting_is_documented_with_its_default(kind: type[msgspec.Struct], table: Any) -> None:
    shown = table(documented()[1])
    fields = msgspec.structs.fields(kind)

    assert {field.name for field in fields} == set(shown) - {"kind"}
    for field in fields:
        if field.default is not msgspec.NODEFAULT and not isinstance(field.default, msgspec.Struct | None):
            assert msgspec.to_builtins(field.default) == shown[field.name] or tuple(shown[field.name]) == field.default


def test_the_documented_alternatives_are_valid() -> None:
    tables = documented()[1]
    assert [type(source).__name__ for source in parse(tables).source] == ["Microphone", "File", "Command"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[server]\nlisten = 3", "server.listen: expected `str`, got `int` (it is 3)"),
        ('[server]\nlissen = "a"', "server.lissen: no such setting; did you mean listen?"),
        ("serve = 1", "serve: no such setting; did you mean server?"),
        (
            '[[source]]\nname = "a"\nkind = "microphone"\nrate = 0',
            "source[0].rate: 0 is not a sample rate (Hz, 8000 to 192000)",
        ),
        (
            '[[source]]\nname = "a"\nkind = "microfone"',
            "source[0].kind: 'microfone' is none of microphone, file, command",
        ),
        ('[[source]]\nname = "a"', "source[0].kind: is missing; one of microphone, file, command"),
        ('[[source]]\nkind = "file"\npath = "x"', "source[0].name: is missing"),
        ('[[source]]\nkind = "file"\nname = "a"\npth = "x"', "source[0].pth: no such setting; did you mean path?"),
        (
            '[[source]]\nkind = "microphone"\nname = "x"\n[[source]]\nkind = "microphone"\nname = "x"',
            'source: 2 are named "x"; names must differ',
        ),
        (
            '[[classifier]]\nname = "c"\n[classifier.vad]\ntreshold = 1',
            "classifier[0].vad.treshold: no such setting; did you mean threshold?",
        ),
        (
            '[[classifier]]\nname = "c"\nmode = "slide"',
            "classifier[0].mode: 'slide' is none of sliding, utterance",
        ),
        (
            '[[classifier]]\nname = "c"\nsources = ["micro"]',
            'classifier[0].sources: there is no source "micro"; did you mean microphone?',
        ),
        (
            '[[classifier]]\nname = "c d"',
            "classifier[0].name: 'c d' is not a name (letters, digits, - and _, 64 at most)",
        ),
        (
            "[[classifier]]\nname='c'\nmode='sliding'\n[classifier.decide]\non = 0.3",
            "classifier[0].decide.off: 0.45 is above on = 0.3; a label goes off below where it goes on",
        ),
        ("[[classifier]]\nname='c'\nhop = 0.00001", "classifier[0].hop: expected `float` >= 0.01 (it is 1e-05)"),
        (
            "[[classifier]]\nname='c'\ngate='open'",
            'classifier[0].mode: an open gate never closes, so no utterance ever ends; set mode = "sliding"',
        ),
        ("source = []", "source: there is none, so there is nothing to listen to"),
    ],
)
def test_a_wrong_setting_is_named_with_the_remedy(text: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(tomllib.loads(text))
    assert str(caught.value) == sentence
