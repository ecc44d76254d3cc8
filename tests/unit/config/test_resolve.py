from __future__ import annotations

from pathlib import Path

import pytest

from earmark.config import presets
from earmark.config import settings as config
from earmark.config.resolve import DEMO, CommandLine, Reader, resolve, source_name
from earmark.config.sources import File, Microphone
from earmark.errors import ConfigError

FILE = """\
[server]
listen = "127.0.0.1:1"
backlog = 7

[[source]]
name = "desk"
kind = "microphone"

[[classifier]]
name = "words"
sources = ["desk"]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "earmark.toml"
    path.write_text(FILE)
    return path


def test_without_a_file_and_without_options_the_defaults_hold() -> None:
    assert resolve(None, CommandLine()) == config.Config()


def test_the_file_is_taken_as_it_is_where_the_command_line_says_nothing(file: Path) -> None:
    settings = resolve(file, CommandLine())

    assert settings.server == config.Server(listen="127.0.0.1:1", backlog=7)
    assert settings.source == (Microphone(name="desk"),)
    assert settings.classifier == (config.Classifier(name="words", sources=("desk",)),)


def test_listen_on_the_command_line_wins_over_the_file_and_changes_nothing_else(file: Path) -> None:
    said, unsaid = resolve(file, CommandLine(listen="[::1]:0")), resolve(file, CommandLine())

    assert said.server == config.Server(listen="[::1]:0", backlog=7)
    assert (said.source, said.classifier) == (unsaid.source, unsaid.classifier)


def test_recordings_take_the_place_of_the_sources_and_every_classifier_hears_them(file: Path) -> None:
    settings = resolve(file, CommandLine(files=("a/talk.flac", "b/dog.wav"), fast=True))

    assert settings.source == (
        File(name="talk", path="a/talk.flac", fast=True),
        File(name="dog", path="b/dog.wav", fast=True),
    )
    assert settings.classifier == (config.Classifier(name="words", sources=()),)


def test_a_recording_on_the_command_line_is_played_at_real_time_and_once() -> None:
    assert resolve(None, CommandLine(files=("talk.flac",))).source == (File(name="talk", path="talk.flac"),)


def test_the_demo_alone_is_heard_by_the_three_embedded_models_in_a_loop() -> None:
    settings = resolve(None, CommandLine(demo=True))

    source = File(name="demo", path=DEMO, loop=True)
    assert settings == config.Config(source=(source,), classifier=presets.ALL, journal=False)
    assert Path(DEMO).is_file()


def test_the_demo_with_a_file_is_heard_by_the_classifiers_of_the_file(file: Path) -> None:
    settings = resolve(file, CommandLine(demo=True))

    assert [source.name for source in settings.source] == ["demo"]
    assert settings.classifier == (config.Classifier(name="words"),)


@pytest.mark.parametrize("fast", [False, True])
def test_the_demo_once_is_no_loop(fast: bool) -> None:
    settings = resolve(None, CommandLine(demo=True, once=True, fast=fast))

    assert settings.source == (File(name="demo", path=DEMO, fast=fast, loop=False),)


@pytest.mark.parametrize(
    ("command_line", "sentence"),
    [
        (CommandLine(demo=True, files=("talk.flac",)), "--demo and --file both say what to listen to; choose one"),
        *(
            (said, "--fast goes with --file, or with --demo --once: only a recording can be read faster than it sounds")
            for said in (CommandLine(fast=True), CommandLine(fast=True, once=True), CommandLine(fast=True, demo=True))
        ),
    ],
)
def test_options_that_contradict_each_other_are_an_error(command_line: CommandLine, sentence: str) -> None:
    with pytest.raises(ConfigError) as raised:
        resolve(None, command_line)

    assert str(raised.value) == sentence


def test_what_is_wrong_in_the_file_is_told_with_its_name(file: Path) -> None:
    file.write_text(FILE.replace("backlog", "baklog"))

    with pytest.raises(ConfigError) as raised:
        resolve(file, CommandLine())

    assert str(raised.value) == f"{file}, line 3: server.baklog: no such setting; did you mean backlog?"


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        resolve(tmp_path / "earmark.toml", CommandLine(demo=True))


@pytest.mark.parametrize("nothing", ["", " \n", "\ufeff"])
def test_a_file_that_is_empty_at_a_reload_does_not_turn_the_default_microphone_on(file: Path, nothing: str) -> None:
    read, text = Reader(file, CommandLine()), file.read_text(encoding="utf-8")
    before = read()
    file.write_text(nothing, encoding="utf-8")
    for _ in range(2):
        with pytest.raises(ConfigError, match="is empty, as while an editor writes it; restart the daemon for the"):
            read()
    file.write_text(text, encoding="utf-8")
    assert read() == before


def test_what_cannot_be_looked_at_at_a_reload_is_told_in_a_sentence(file: Path) -> None:
    folder = file.parent / "a"
    folder.mkdir()
    read = Reader(folder / "earmark.toml", CommandLine())
    file.rename(folder / "earmark.toml")
    read()
    folder.rename(file.parent / "b")
    folder.symlink_to(file.parent / ("long" * 100))  # no name that a file system takes
    with pytest.raises(ConfigError, match="cannot be read: "):
        read()


def test_a_file_that_was_empty_at_the_start_may_stay_so_until_it_says_something(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    file.write_text("", encoding="utf-8")
    read = Reader(file, CommandLine())
    assert read() == read() == config.Config()
    file.write_text(text, encoding="utf-8")
    assert read() != config.Config()
    file.write_text("", encoding="utf-8")
    with pytest.raises(ConfigError, match="is empty"):
        read()


def test_the_file_is_read_anew_at_each_call(file: Path) -> None:
    before = resolve(file, CommandLine(listen="127.0.0.1:0"))
    file.write_text(FILE.replace("backlog = 7", "backlog = 8"))

    after = resolve(file, CommandLine(listen="127.0.0.1:0"))

    assert (before.server.backlog, after.server.backlog) == (7, 8)
    assert before.classifier == after.classifier


@pytest.mark.parametrize(
    ("path", "taken", "name"),
    [
        ("recordings/talk.flac", [], "talk"),
        ("talk", [], "talk"),
        ("a b & c.wav", [], "a-b-c"),
        ("-x-.wav", [], "x"),
        ("größe.wav", [], "gr-e"),
        ("日本.wav", [], "file"),
        ("日本.wav", ["file"], "file-2"),
        ("talk.wav", ["talk"], "talk-2"),
        ("talk.wav", ["talk", "talk-2"], "talk-3"),
        ("talk-2.wav", ["talk", "talk-2"], "talk-2-2"),
        ("x" * 60 + ".wav", [], "x" * 48),
    ],
)
def test_a_source_is_named_after_its_file_and_no_two_alike(path: str, taken: list[str], name: str) -> None:
    assert source_name(path, taken) == name


@pytest.mark.parametrize("command_line", [CommandLine(demo=True), CommandLine(files=("a.wav",), once=True)])
def test_what_is_tried_out_is_kept_only_where_the_configuration_names_a_folder(
    command_line: CommandLine, tmp_path: Path
) -> None:
    assert resolve(None, command_line).journal is False
    (tmp_path / "earmark.toml").write_text('[journal]\npath = "/var/kept"')
    assert resolve(tmp_path / "earmark.toml", command_line).journal == config.Journal(path="/var/kept")
