"""Home Assistant's MQTT discovery, by device: one retained message for each source, with all of its entities.

The form is that of https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload. Identities are made of
the names in the configuration alone, so that they are the same after every restart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from earmark.protocol.events import SourceState
from earmark.publish.layout import Heard, Layout
from earmark.publish.topics import Topics

Json = dict[str, Any]

NAME = "Earmark"
NOTHING = "{{ value_json.label if value_json.label is not none else 'None' }}"
"""The label of a `current` message. `None` is Home Assistant's word for a state that is not known."""


@dataclass(frozen=True, slots=True)
class Discovery:
    """Makes the messages. `prefix` is Home Assistant's, and `version` that of the daemon."""

    topics: Topics
    prefix: str
    version: str
    qos: int

    def devices(self, layout: Layout) -> dict[str, Json]:
        """Return the payload of each topic, the daemon's own first, because the others refer to it."""
        found = {self._topic(): self._daemon()}
        for source in layout.sources:
            heard = [each for each in layout.heard if each.source == source]
            found[self._topic(source)] = self._source(source, heard)
        return found

    def _topic(self, *source: str) -> str:
        return "/".join((self.prefix, "device", f"earmark-{self.topics.node}", *source, "config"))

    def _id(self, *parts: str) -> str:
        return "/".join(("earmark", self.topics.node, *parts))

    def _daemon(self) -> Json:
        connection = {
            "platform": "binary_sensor",
            "unique_id": self._id("status"),
            "name": "Connection",
            "device_class": "connectivity",
            "entity_category": "diagnostic",
            "state_topic": self.topics.status,
            "payload_on": "online",
            "payload_off": "offline",
            "qos": self.qos,
        }
        return {
            "device": self._device(self._id(), f"{NAME} {self.topics.node}", "daemon"),
            "origin": self._origin(),
            "components": {"status": connection},
        }

    def _source(self, source: str, heard: list[Heard]) -> Json:
        device = self._device(self._id(source), f"{NAME} {source}", "audio source")
        components = dict(self._components(source, heard))
        here, there = {"topic": self.topics.status}, {"topic": self.topics.availability(source)}
        for each in components.values():
            each["qos"] = self.qos
        return {
            "device": device | {"via_device": self._id()},
            "origin": self._origin(),
            "availability": [here, there],
            "availability_mode": "all",
            "components": components,
        }

    def _components(self, source: str, heard: list[Heard]) -> Iterator[tuple[str, Json]]:
        yield (
            "state",
            {
                "platform": "sensor",
                "unique_id": self._id(source, "state"),
                "name": "State",
                "entity_category": "diagnostic",
                "device_class": "enum",
                "options": list(get_args(SourceState)),
                "state_topic": self.topics.state(source),
                "value_template": "{{ value_json.state }}",
                "json_attributes_topic": self.topics.state(source),
                "availability": [{"topic": self.topics.status}],  # it must be seen while the source is away
            },
        )
        for each in heard:
            yield from self._of_pair(each)

    def _of_pair(self, heard: Heard) -> Iterator[tuple[str, Json]]:
        pair = (heard.source, heard.classifier)
        current = self.topics.current(*pair)
        yield (
            f"{heard.classifier}/current",
            {
                "platform": "sensor",
                "unique_id": self._id(*pair, "current"),
                "name": heard.classifier,
                "icon": "mdi:ear-hearing",
                "device_class": "enum",
                "options": list(heard.labels),
                "state_topic": current,
                "value_template": NOTHING,
                "json_attributes_topic": current,
            },
        )
        if heard.utterance:
            yield (
                f"{heard.classifier}/event",
                {
                    "platform": "event",
                    "unique_id": self._id(*pair, "event"),
                    "name": heard.classifier,
                    "icon": "mdi:microphone-message",
                    "event_types": list(heard.labels),
                    "state_topic": self.topics.event(*pair),
                },
            )
        for label in heard.shown:
            topic = self.topics.label(*pair, label)
            yield (
                f"{heard.classifier}/label/{topic.rpartition('/')[2]}",
                {
                    "platform": "binary_sensor",
                    "unique_id": self._id(*pair, "label", label),
                    "name": f"{heard.classifier} {label}",
                    "state_topic": topic,
                },
            )

    def _device(self, identifier: str, name: str, model: str) -> Json:
        return {
            "identifiers": [identifier],
            "name": name,
            "manufacturer": NAME,
            "model": model,
            "sw_version": self.version,
        }

    def _origin(self) -> Json:
        return {"name": NAME, "sw_version": self.version}


Platforms = Mapping[str, Mapping[str, str]]
"""What was announced: for each discovery topic, the platform of each component."""


def platforms(devices: Mapping[str, Json]) -> dict[str, dict[str, str]]:
    """Return what these payloads announce."""
    return {
        topic: {key: str(each["platform"]) for key, each in payload["components"].items()}
        for topic, payload in devices.items()
    }


def announcement(before: Platforms, devices: Mapping[str, Json]) -> Iterator[tuple[str, Json | None]]:
    """Yield topics and payloads that lead from what was announced before to these devices. None removes a device.

    A component that is gone is named once more with its platform alone, which removes its entity.
    """
    for topic in before:
        if topic not in devices:
            yield topic, None
    for topic, payload in devices.items():
        components = payload["components"]
        gone = {key: {"platform": platform} for key, platform in before.get(topic, {}).items() if key not in components}
        if gone:
            yield topic, payload | {"components": components | gone}
        yield topic, payload
