"""The sound devices of this machine: listing them and choosing one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import closing

import msgspec

from earmark.columns import padded
from earmark.devices.portaudio import Input, PortAudioProcess
from earmark.errors import SourceError

RATES = (8000, 16000, 44100, 48000, 96000)  # Hz


class Device(msgspec.Struct, frozen=True):
    """A device that can record, as `earmark devices` shows it.

    `rate` is its own rate in Hz. `rates` are those of RATES at which it opens now: none while another program uses it.
    """

    name: str
    host: str
    channels: int
    rate: int
    rates: tuple[int, ...]
    is_default: bool


def list_devices() -> list[Device]:
    """Return all devices that can record. Raises SourceError if PortAudio is not installed or does not answer."""
    with closing(PortAudioProcess()) as process:
        return [
            Device(
                name=found.name,
                host=found.host,
                channels=found.channels,
                rate=found.rate,
                rates=process.opens_at(found, RATES),
                is_default=found.is_default,
            )
            for found in process.inputs()
        ]


def format_table(devices: Sequence[Device]) -> str:
    """Return a table of the devices for people, one line each, with a star at the default device."""
    if not devices:
        return "no device to record from"
    head = ("", "device", "through", "channels", "opens at (Hz)")
    rows = [
        (
            "*" if device.is_default else "",
            device.name,
            device.host,
            str(device.channels),
            " ".join(map(str, device.rates)) or "none now",
        )
        for device in devices
    ]
    return "\n".join("  ".join(row).rstrip() for row in padded([head, *rows]))


def choose(wanted: str, inputs: Sequence[Input]) -> Input:
    """Return the device for a setting: "default", a name, a part of exactly one name, or /a regular expression/.

    Upper and lower case are equal. A name that several host interfaces list is one device: the default one if it is
    among them, else the first. Raises SourceError, which names the devices that exist.
    """
    if wanted == "default":
        found = [device for device in inputs if device.is_default]
        if not found:
            raise SourceError(f"there is no default sound device; {_there_are(inputs)}")
        return found[0]
    found = _matching(wanted, inputs)
    if not found:
        raise SourceError(f"there is no sound device {wanted!r}; {_there_are(inputs)}")
    if len({device.name for device in found}) > 1:
        raise SourceError(f"device {wanted!r} means more than one; {_there_are(found)}")
    return next((device for device in found if device.is_default), found[0])


def _matching(wanted: str, inputs: Sequence[Input]) -> list[Input]:
    if len(wanted) > 2 and wanted.startswith("/") and wanted.endswith("/"):
        try:
            pattern = re.compile(wanted[1:-1], re.IGNORECASE)
        except re.error as error:
            raise SourceError(f"device {wanted!r} is not a regular expression: {error}") from error
        return [device for device in inputs if pattern.search(device.name)]
    name = wanted.casefold()
    exact = [device for device in inputs if device.name.casefold() == name]
    return exact or [device for device in inputs if name in device.name.casefold()]


def _there_are(inputs: Sequence[Input]) -> str:
    names = dict.fromkeys(device.name for device in inputs)  # each once, in their order
    return "there is none at all" if not names else f"there are: {', '.join(names)}"
