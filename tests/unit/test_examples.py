"""The configurations in config/examples/ are ones that the daemon takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from earmark.edge import configfile, pulled

EXAMPLES = sorted((Path(__file__).parents[2] / "config" / "examples").glob("*.toml"))


def test_there_are_examples_of_emotion_commands_speakers_genres_and_sounds() -> None:
    names = {file.stem for file in EXAMPLES}
    assert {"emotion", "speech-commands", "speaker", "music-genre", "sound-events"} <= names


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_an_example_is_valid_and_uses_the_model_that_it_pulls(file: Path) -> None:
    text = file.read_text()
    config = configfile.load(file)
    (model,) = config.model
    assert {classifier.model for classifier in config.classifier} == {model.name}
    assert f"#   earmark pull {model.name}" in text
    assert f"--config config/examples/{file.name}\n" in text
    assert "# Licence: " in text
    assert model.path is not None
    assert Path(model.path).expanduser() == pulled.newest(pulled.root({}), model.name)
