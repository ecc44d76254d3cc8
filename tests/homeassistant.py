"""What Home Assistant accepts as MQTT discovery by device, as far as Earmark uses it.

Restated from its documentation (https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery, and the pages of the
platforms sensor.mqtt, binary_sensor.mqtt and event.mqtt) and from the checks of its integration `mqtt` (schemas.py,
sensor.py, event.py, 2026). A field that is not named here is refused, because Home Assistant refuses the whole message
for an unknown field of the message, the device or the origin, and ignores one of a component.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

TOPIC = re.compile(r"(?P<prefix>[^+#\0]+)/device(/(?P<node_id>[A-Za-z0-9_-]+))?/(?P<object_id>[A-Za-z0-9_-]+)/config")

SubscribeTopic = Annotated[str, Meta(pattern=r"^[^+#\x00]+\Z", max_length=65_535)]
Text = Annotated[str, Meta(min_length=1)]
Icon = Annotated[str, Meta(pattern=r"^mdi:[a-z0-9-]+\Z")]
Qos = Annotated[int, Meta(ge=0, le=2)]


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all: an unknown field is an error."""


class Device(Strict, frozen=True, kw_only=True):
    identifiers: Annotated[tuple[Text, ...], Meta(min_length=1)]  # or connections, which Earmark has not
    name: Text
    manufacturer: Text | None = None
    model: Text | None = None
    sw_version: Text | None = None
    via_device: Text | None = None


class Origin(Strict, frozen=True, kw_only=True):
    name: Text
    sw_version: Text | None = None


class Available(Strict, frozen=True, kw_only=True):
    topic: SubscribeTopic
    payload_available: str = "online"
    payload_not_available: str = "offline"


class Entity(Strict, frozen=True, kw_only=True, tag_field="platform"):
    """What all platforms have. A component that a device message announces needs a unique_id."""

    unique_id: Text
    name: Text
    state_topic: SubscribeTopic
    value_template: Text | None = None
    json_attributes_topic: SubscribeTopic | None = None
    entity_category: Literal["config", "diagnostic"] | None = None
    icon: Icon | None = None
    qos: Qos = 0
    availability: tuple[Available, ...] = ()


class Sensor(Entity, frozen=True, kw_only=True, tag="sensor"):
    device_class: Literal["enum"] | None = None  # or another one, which Earmark does not use
    options: tuple[str, ...] | None = None


class BinarySensor(Entity, frozen=True, kw_only=True, tag="binary_sensor"):
    device_class: Literal["connectivity", "sound"] | None = None
    payload_on: str = "ON"
    payload_off: str = "OFF"


class Event(Entity, frozen=True, kw_only=True, tag="event"):
    event_types: tuple[str, ...]


class Message(Strict, frozen=True, kw_only=True):
    """The payload for a topic `<prefix>/device/[<node_id>/]<object_id>/config`."""

    device: Device
    origin: Origin
    components: dict[str, Sensor | BinarySensor | Event]
    availability: tuple[Available, ...] = ()
    availability_mode: Literal["all", "any", "latest"] = "latest"


def accepted(topic: str, payload: Mapping[str, Any] | bytes) -> Message:
    """Return the message that Home Assistant makes of a payload. Fails where it would refuse it."""
    assert TOPIC.fullmatch(topic), topic
    content = payload if isinstance(payload, bytes) else msgspec.json.encode(payload)
    message = msgspec.json.decode(content, type=Message)
    for component in message.components.values():
        if isinstance(component, Sensor):
            assert (component.options is None) == (component.device_class != "enum")
            assert component.options is None or component.options, "an empty list of options is refused"
    identities = [component.unique_id for component in message.components.values()]
    assert len(set(identities)) == len(identities)
    return message
