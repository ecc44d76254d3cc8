from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import inspect

from earmark.config import settings as config
from earmark.config.brokers import Gateway, Nats
from earmark.config.file import anchored, load, parse
from earmark.config.sources import Command, File, Microphone, Network
from earmark.errors import ConfigError
from tests.tables import anything, changed, documented, keys


def test_the_documented_configuration_is_the_default() -> None:
    assert parse(documented()[0]) == config.Config()


@pytest.mark.parametrize(
    ("kind", "table"),
    [
        (config.Server, lambda tables: tables["server"]),
        (config.Http, lambda tables: tables["http"]),
        (config.Worker, lambda tables: tables["worker"]),
        (Microphone, lambda tables: tables["source"][0]),
        (File, lambda tables: tables["source"][1]),
        (Command, lambda tables: tables["source"][2]),
        (Network, lambda tables: tables["source"][3]),
        (config.Model, lambda tables: tables["model"][0]),
        (config.Classifier, lambda tables: tables["classifier"][0]),
        (config.Vad, lambda tables: tables["classifier"][0]["vad"]),
        (Nats, lambda tables: tables["publish"][1]),
        (Gateway, lambda tables: tables["gateway"]),
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
    assert [type(source).__name__ for source in parse(tables).source] == ["Microphone", "File", "Command", "Network"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[server]\nlisten = 3", "server.listen: must be a text (it is 3)"),
        ('[server]\nlissen = "a"', "server.lissen: no such setting; did you mean listen?"),
        ("serve = 1", "serve: no such setting; did you mean server?"),
        (
            '[[source]]\nname = "a"\nkind = "microphone"\nrate = 0',
            "source[0].rate: 0 is not a sample rate (Hz, 1000 to 768000)",
        ),
        (
            '[[source]]\nname = "a"\nkind = "microfone"',
            "source[0].kind: 'microfone' is none of microphone, file, command, network",
        ),
        ('[[source]]\nname = "a"', "source[0].kind: is missing; one of microphone, file, command, network"),
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
        ("[[classifier]]\nname='c'\nhop = 0.00001", "classifier[0].hop: must be at least 0.01 (it is 1e-05)"),
        (
            "[[classifier]]\nname='c'\ngate='open'",
            'classifier[0].mode: an open gate never closes, so no utterance ever ends; set mode = "sliding"',
        ),
        ("journal = 3", "journal: 3 is not true, false or a table [journal]"),
        ("[journal]\nmax_mbs = 3", "journal.max_mbs: no such setting; did you mean max_mb?"),
        ("[journal]\nmax_mb = 3", "journal.max_mb: must be at least 32 (it is 3)"),
        ("classifier = []", "classifier: there is none, so nothing would be recognised"),
        ('[server]\nlisten = "a\\u0000b"', "server.listen: 'a\\x00b' contains the character NUL"),
        ("[worker]\ndevice = 'gpu'", "worker.device: 'gpu' is not a device (auto, cpu, mps, cuda or cuda:N)"),
        (
            '[[classifier]]\nname = "c\\n"',
            "classifier[0].name: 'c\\n' is not a name (letters, digits, - and _, 64 at most)",
        ),
        (
            "[classifier]\nname = 'c'",
            "classifier: is a single table; there may be several, so write [[classifier]] with double brackets",
        ),
        (
            "[source]\nname = 'c'",
            "source: is a single table; there may be several, so write [[source]] with double brackets",
        ),
        (
            "[publish]\nkind = 'mqtt'",
            "publish: is a single table; there may be several, so write [[publish]] with double brackets",
        ),
        ("[[publish]]\nkind = 'mqqt'", "publish[0].kind: 'mqqt' is none of mqtt, nats"),
        ("[[publish]]\nkind = 'mqtt'\nhots = 'x'", "publish[0].hots: no such setting; did you mean host?"),
        (
            "[[publish]]\nkind = 'mqtt'\nprefix = 'a/#'",
            "publish[0].prefix: 'a/#' is not the beginning of a topic (letters, digits, dots, - and _, with / between"
            " levels)",
        ),
        (
            "[[server]]\ninsecure = true",
            "server: is a list of tables; there is one, so write [server] with single brackets",
        ),
        (
            "[[classifier]]\nname = 'c'\n[[classifier.vad]]\nmax_ms = 1",
            "classifier[0].vad: is a list of tables; there is one, so write [classifier.vad] with single brackets",
        ),
        ("[worker]\nmax_age = inf", "worker.max_age: must be at most 3600 (it is inf)"),
        ("[http]\nmax_seconds = nan", "http.max_seconds: must be more than 0 (it is nan)"),
        (
            "[server]\nmax_subscribers = 1" + "0" * 30,
            f"server.max_subscribers: must be at most 1000000 (it is 1{'0' * 30})",
        ),
    ],
)
def test_a_wrong_setting_is_named_with_the_remedy(text: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(tomllib.loads(text))
    assert str(caught.value) == sentence


def test_several_mistakes_are_told_at_once_a_line_each_with_the_file(tmp_path: Path) -> None:
    file = tmp_path / "earmark.toml"
    file.write_text("""
        [server]
        allow_hosts = ["*"]
        [[classifier]]
        name = "c"
        sources = ["micro"]
    """)
    with pytest.raises(ConfigError) as caught:
        load(file)
    first, second = str(caught.value).splitlines()
    assert first.startswith(f"{file}, line 3: server.allow_hosts: ")
    assert second.startswith(f"{file}, line 6: classifier[0].sources: ")


@pytest.mark.parametrize("text", ["source = []", "source = []\nclassifier = []"])
def test_a_configuration_without_a_source_is_valid_because_clips_need_none(text: str) -> None:
    assert parse(tomllib.loads(text)).source == ()


def test_a_byte_order_mark_before_the_configuration_is_skipped(tmp_path: Path) -> None:
    file = tmp_path / "earmark.toml"
    file.write_text("ring = 30.0", encoding="utf-8-sig")
    assert load(file) == config.Config(ring=30.0)


@pytest.mark.parametrize("text", ["a = " + "[" * 10_000, "ring = 1" + "0" * 5000, "ring", "\x00"])
def test_what_is_no_toml_is_told_in_a_sentence(tmp_path: Path, text: str) -> None:
    file = tmp_path / "earmark.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match="not valid TOML: "):
        load(file)


PATHS = """
[server]
token_file = "{}tokens"
[[source]]
kind = "file"
name = "f"
path = "{}talk.flac"
[[source]]
kind = "command"
name = "own"
argv = ["{}listen.sh", "talk.flac"]
[[source]]
kind = "command"
name = "from-path"
argv = ["arecord", "./x"]
[[model]]
name = "a/model"
path = "{}model"
"""


@pytest.mark.parametrize(
    ("before", "folder"), [("", "{}"), ("./", "{}"), ("sub/", "{}/sub"), ("~/", "/home/ada"), ("/srv/", "/srv")]
)
def test_every_path_is_absolute_and_begins_in_the_folder_of_the_configuration(
    before: str, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    file = tmp_path / "earmark.toml"
    file.write_text(PATHS.format(before, before, before or "./", before))
    found = load(file)
    talk, own, from_path = found.source
    assert isinstance(talk, File)
    assert isinstance(own, Command)
    assert isinstance(from_path, Command)
    paths = (found.server.token_file, talk.path, own.argv[0], found.model[0].path)
    wanted = folder.format(tmp_path)
    assert paths == tuple(f"{wanted}/{name}" for name in ("tokens", "talk.flac", "listen.sh", "model"))
    assert own.argv[1:] == ("talk.flac",)
    assert from_path.argv == ("arecord", "./x")


def test_a_relative_path_to_the_configuration_gives_absolute_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "earmark.toml").write_text('[server]\ntoken_file = "tokens"')
    monkeypatch.chdir(tmp_path)
    assert load(Path("earmark.toml")).server.token_file == str(tmp_path / "tokens")


def test_a_home_folder_that_does_not_exist_is_told() -> None:
    settings = config.Config(model=(config.Model(name="a/model", path="~nobody-of-this-name/model"),))
    with pytest.raises(ConfigError) as caught:
        anchored(settings, Path("/etc"))
    assert str(caught.value) == (
        "model[0].path: ~nobody-of-this-name is no home folder on this machine; write the whole path, or set HOME"
    )


def numbers(kind: Any, path: str = "") -> Any:
    """All types of numbers among the settings, with their paths."""
    match kind:
        case inspect.StructType():
            for field in kind.fields:
                yield from numbers(field.type, f"{path}.{field.name}")
        case inspect.UnionType():
            for each in kind.types:
                yield from numbers(each, path)
        case inspect.VarTupleType():
            yield from numbers(kind.item_type, path)
        case inspect.DictType():
            yield from numbers(kind.value_type, path)
        case inspect.IntType() | inspect.FloatType():
            yield path, kind


def test_every_number_has_limits_so_that_none_is_infinite() -> None:
    found = dict(numbers(inspect.type_info(config.Config)))
    assert len(found) >= 40
    assert [path for path, kind in found.items() if kind.le is None or (kind.ge is None and kind.gt is None)] == []


EVERYTHING = documented()[1]


def told(tables: Any) -> str:
    """What is wrong in the tables, or an empty string. Any other error passes."""
    try:
        anchored(parse(tables), Path("/etc"))
    except ConfigError as error:
        return str(error)
    return ""


@given(st.sampled_from(keys(EVERYTHING)), anything)
def test_any_value_of_any_key_is_valid_or_told_in_a_sentence_that_names_its_table(
    path: tuple[Any, ...], value: object
) -> None:
    sentence = told(changed(EVERYTHING, path, value))
    assert not sentence or path[0] in sentence


def test_the_journal_is_turned_on_and_off_with_a_word_or_has_a_table() -> None:
    assert parse(tomllib.loads("journal = false")).journal is False
    assert parse(tomllib.loads("journal = true")).journal is True
    assert parse(tomllib.loads("[journal]\nmax_mb = 64")).journal == config.Journal(max_mb=64)


def test_the_folder_of_the_journal_begins_in_the_folder_of_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "earmark.toml").write_text('[journal]\npath = "kept"')
    assert load(tmp_path / "earmark.toml").journal == config.Journal(path=str(tmp_path / "kept"))


def test_a_key_with_a_line_break_is_told_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "earmark.toml"
    file.write_text('[server]\n"a\\nb\\u001b" = 1\nallow_hosts = ["x\\ny"]\n')
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert str(caught.value).startswith(f"{file}, line 1: server.a\\nb\\x1b: no such setting")
    file.write_text('[server]\nallow_hosts = ["x\\ny"]\n')
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert str(caught.value).isprintable()
