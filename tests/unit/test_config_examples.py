"""The configurations in config/examples/ are ones that the daemon takes."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from earmark.checkpoints import reader, store
from earmark.config import presets
from earmark.config import settings as config
from earmark.config.file import load
from earmark.config.shipped import ROUTES
from earmark.config.sources import Network
from earmark.protocol.licence import is_non_commercial

FOLDER = Path(__file__).parents[2] / "config" / "examples"
EXAMPLES = [file for file in sorted(FOLDER.glob("*.toml")) if file.name != ROUTES]
EMBEDDED = {
    "voice-commands": (presets.COMMANDS,),
    "emotion-embedded": (presets.EMOTION,),
    "sounds-embedded": (presets.SOUNDS,),
    "all-three": presets.ALL,
    "home-assistant": (presets.COMMANDS, presets.SOUNDS),
}
EACH = pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
PULLED = pytest.mark.parametrize(
    "file",
    [file for file in EXAMPLES if file.stem not in (*EMBEDDED, "satellite", "gateway")],
    ids=lambda file: file.stem,
)
SHIPPED = pytest.mark.parametrize(
    "file", [file for file in EXAMPLES if file.stem in EMBEDDED], ids=lambda file: file.stem
)


def words(text: str) -> str:
    """CC BY-NC 4.0 and cc-by-nc-4.0 are the same licence."""
    return re.sub(r"\W+", " ", text).lower()


def test_there_are_examples_of_emotion_commands_speakers_genres_sounds_and_of_each_embedded_model() -> None:
    names = {file.stem for file in EXAMPLES}
    assert {"emotion", "speech-commands", "speaker", "music-genre", "sound-events", *EMBEDDED} <= names


@EACH
def test_an_example_is_valid_and_says_how_to_run_it_and_its_licence(file: Path) -> None:
    load(file)
    text = file.read_text()
    gateway = "--gateway " if file.stem == "gateway" else ""
    assert f"\n#   earmarkd {gateway}--config config/examples/{file.name}\n" in text
    assert "\n# Licence: " in text


@PULLED
def test_an_example_uses_the_model_that_it_pulls(file: Path) -> None:
    settings = load(file)
    (model,) = settings.model
    assert {classifier.model for classifier in settings.classifier} == {model.name}
    assert f"#   earmark pull {model.name}" in file.read_text()
    assert model.path is not None
    assert Path(model.path).expanduser() == store.newest(store.root({}), model.name)


@SHIPPED
def test_an_example_of_embedded_models_has_the_settings_that_were_measured(file: Path) -> None:
    settings = load(file)
    found = {each.name: msgspec.to_builtins(each) for each in settings.classifier}  # dicts, for pytest to compare
    assert found == {each.name: msgspec.to_builtins(each) for each in EMBEDDED[file.stem]}
    published = settings.publish if file.stem == "home-assistant" else ()
    assert settings == config.Config(classifier=settings.classifier, publish=published)  # and nothing else is set


def test_the_example_of_a_satellite_hears_the_sound_that_a_client_sends_with_the_measured_settings() -> None:
    settings = load(next(file for file in EXAMPLES if file.stem == "satellite"))
    assert settings.source == (Network(name="kitchen"),)
    (classifier,) = settings.classifier
    assert msgspec.structs.replace(classifier, sources=()) == presets.COMMANDS


@SHIPPED
def test_an_example_with_a_model_that_is_not_for_commercial_use_says_so(file: Path) -> None:
    folders = reader.embedded()
    licences = [reader.read(folders[each.model]).licence for each in load(file).classifier]
    assert any(map(is_non_commercial, licences)) == ("FOR NON-COMMERCIAL USE ONLY" in file.read_text())
    assert [licence for licence in licences if words(licence) not in words(file.read_text())] == []
