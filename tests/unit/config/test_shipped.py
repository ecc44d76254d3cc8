from __future__ import annotations

import tomllib

import pytest

from earmark.config.file import parse
from earmark.config.settings import Config
from earmark.config.shipped import defaults, example, list_examples
from earmark.errors import ConfigError


def test_the_printed_configuration_is_the_default() -> None:
    assert parse(tomllib.loads(defaults())) == Config()


def test_each_example_that_is_listed_can_be_printed_and_is_valid() -> None:
    names = [line.split()[0] for line in list_examples()]
    assert {"all-three", "emotion", "voice-commands"} <= set(names)
    for name in names:
        parse(tomllib.loads(example(name)))


def test_an_example_is_listed_with_its_first_sentence() -> None:
    listed = dict(line.split("  ", 1) for line in list_examples())
    assert listed["sounds-embedded"].strip() == "Ten sounds, live, by the small model that comes with Earmark: " + (
        "baby_cry chainsaw clock_tick dog_bark fire_crackling helicopter person_sneeze rain rooster sea_waves"
    )


def test_an_unknown_example_is_told_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError) as caught:
        example("emotions")
    assert str(caught.value) == '--example: there is no "emotions"; did you mean emotion?'
