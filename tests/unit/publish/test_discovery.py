from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from earmark.checkpoints.catalogue import catalogue
from earmark.config.file import load
from earmark.listening.plan import plan
from earmark.publish.discovery import Discovery, announcement, platforms
from earmark.publish.layout import Heard, Layout, layout
from earmark.publish.topics import Topics
from tests.homeassistant import Event, Sensor, accepted

ROOT = Path(__file__).parents[3]
EMOTION = Heard("desk", "emotion", "earmark/emotion", False, ("happy", "calm", "sad"), ("happy", "calm"))
SOUNDS = Heard("door", "sounds", "a/model", False, ("Dog, bark", "+/#"), ("Dog, bark", "+/#"))
COMMANDS = Heard("desk", "commands", "earmark/commands", True, ("go", "stop"), ())
LAYOUT = Layout(("desk", "door"), (EMOTION, COMMANDS, SOUNDS))
DAEMON, DESK, DOOR = (f"homeassistant/device/earmark-home/{each}config" for each in ("", "desk/", "door/"))


def devices(layout: Layout = LAYOUT, version: str = "1.0.0") -> dict[str, dict[str, Any]]:
    return Discovery(Topics("earmark", "home"), "homeassistant", version, 1).devices(layout)


def test_home_assistant_accepts_every_message() -> None:
    assert list(devices()) == [DAEMON, DESK, DOOR]
    for topic, payload in devices().items():
        assert accepted(topic, payload).origin.name == "Earmark"


def test_the_check_refuses_what_home_assistant_refuses() -> None:
    with pytest.raises(AssertionError):
        accepted("homeassistant/device/Büro/config", devices()[DESK])
    mistakes: list[dict[str, Any]] = [
        {"origin": {}},
        {"components": {"x": {"platform": "sensor"}}},
        {"device": {"name": "x", "identifiers": []}},
        {"more": 1},
    ]
    for wrong in mistakes:
        with pytest.raises(ValueError, match=r"Object|array"):
            accepted(DESK, devices()[DESK] | wrong)


def test_a_source_is_a_device_behind_the_daemon_and_away_when_either_is() -> None:
    found = accepted(DESK, devices()[DESK])
    assert (found.device.via_device,) == accepted(DAEMON, devices()[DAEMON]).device.identifiers
    assert [each.topic for each in found.availability] == ["earmark/home/status", "earmark/home/desk/availability"]
    assert found.availability_mode == "all"
    assert [each.topic for each in found.components["state"].availability] == ["earmark/home/status"]


def test_a_classifier_is_a_sensor_and_each_of_its_labels_one_that_is_on_or_off() -> None:
    components = accepted(DESK, devices()[DESK]).components
    assert list(components) == [
        *("state", "emotion/current", "emotion/label/happy", "emotion/label/calm"),
        *("commands/current", "commands/event"),
    ]
    current = components["emotion/current"]
    assert isinstance(current, Sensor)
    assert (current.options, current.state_topic) == (("happy", "calm", "sad"), "earmark/home/desk/emotion/current")
    assert components["emotion/label/calm"].state_topic == "earmark/home/desk/emotion/label/calm"


def test_commands_are_an_event_of_as_many_types_as_there_are_labels() -> None:
    event = accepted(DESK, devices()[DESK]).components["commands/event"]
    assert isinstance(event, Event)
    assert (event.event_types, event.state_topic) == (("go", "stop"), "earmark/home/desk/commands/event")


def test_identities_depend_on_names_alone_and_no_two_are_equal() -> None:
    identities = [each["unique_id"] for payload in devices().values() for each in payload["components"].values()]
    assert len(set(identities)) == len(identities)
    turned = Layout(("door", "desk"), (SOUNDS, COMMANDS, EMOTION))
    again = [
        each["unique_id"] for payload in devices(turned, "2.0.0").values() for each in payload["components"].values()
    ]
    assert sorted(again) == sorted(identities)
    assert "earmark/home/door/sounds/label/+/#" in identities


def test_the_tutorial_names_entities_that_there_are() -> None:
    settings = load(ROOT / "config" / "examples" / "home-assistant.toml")
    read = functools.cache(lambda entry: entry.read())
    entries = catalogue(settings)
    made = [plan(settings, index, entries, read) for index in range(len(settings.classifier))]
    classifiers = [(replace(each.info, sources=("demo", "microphone")), each.settings.decide) for each in made]
    there: set[str] = set()
    for topic, payload in devices(layout(("demo", "microphone"), classifiers, 32)).items():
        message = accepted(topic, payload)
        for component in message.components.values():
            platform = component.__struct_config__.tag
            there.add(f"{platform}.{slug(f'{message.device.name} {component.name}')}")
    text = (ROOT / "docs" / "tutorial-home-assistant.md").read_text()
    named = set(re.findall(r"\b(?:binary_sensor|sensor|event)\.earmark_\w+", text))
    assert len(named) >= 6
    assert named <= there


def slug(name: str) -> str:
    """What Home Assistant makes of a name of ASCII letters."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def test_a_component_that_is_gone_is_named_once_more_by_its_platform_and_then_left_out() -> None:
    before, now = platforms(devices()), devices(Layout(("desk", "door"), (EMOTION, SOUNDS)))
    sent = [(topic, payload) for topic, payload in announcement(before, now) if topic == DESK]
    first, second = (payload["components"] for _, payload in sent if payload is not None)
    assert {key: each for key, each in first.items() if key not in second} == {
        "commands/current": {"platform": "sensor"},
        "commands/event": {"platform": "event"},
    }
    assert list(second) == ["state", "emotion/current", "emotion/label/happy", "emotion/label/calm"]


def test_a_source_that_is_gone_is_removed_with_an_empty_message() -> None:
    sent = list(announcement(platforms(devices()), devices(Layout(("desk",), (EMOTION, COMMANDS)))))
    assert [topic for topic, payload in sent if payload is None] == [DOOR]
    assert [topic for topic, payload in sent if payload is not None] == [DAEMON, DESK]


def test_without_discovery_all_that_was_announced_is_removed() -> None:
    assert list(announcement(platforms(devices()), {})) == [(DAEMON, None), (DESK, None), (DOOR, None)]
