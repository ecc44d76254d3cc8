"""The sound devices of this machine: listing them and choosing one."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Protocol, TypeVar

import msgspec

from earmark.columns import padded, printable
from earmark.devices.portaudio import Input, PortAudioProcess
from earmark.devices.sound_server import ServerSource
from earmark.errors import SourceError

T = TypeVar("T")

SERVER_DEVICES = ("pulse", "pipewire", "default")  # by which ALSA reaches the sound server; the first that there is
PLUGINS = "libasound2-plugins, or pipewire-alsa for PipeWire"
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
    return "\n".join(printable("  ".join(row).rstrip()) for row in padded([head, *rows]))


def format_sources(sources: Sequence[ServerSource], default: str) -> str:
    """Return a table of the sound server's sources for people, with a star at the default one."""
    head = ("", "of the sound server", "channels", "rate (Hz)", "description")
    rows = [
        ("*" if source.name == default else "", source.name, str(source.channels), str(source.rate), source.description)
        for source in sorted(sources, key=lambda source: source.is_monitor)
    ]
    return "\n".join(printable("  ".join(row).rstrip()) for row in padded([head, *rows]))


def choose(wanted: str, inputs: Sequence[Input], sources: Callable[[], Sequence[ServerSource]] = lambda: ()) -> Input:
    """Return the device for a setting: "default", a name, a part of exactly one name, or /a regular expression/.

    Upper and lower case are equal. A name that several host interfaces list is one device: the default one if it is
    among them, else the first. What PortAudio does not list may be one of the `sources` of a sound server, by its name
    or description; monitors of loudspeakers come after microphones. Raises SourceError, which names what exists.
    """
    if wanted == "default":
        found = [device for device in inputs if device.is_default]
        if not found:
            raise SourceError(f"there is no default sound device; {_there_are(inputs)}")
        return found[0]
    matches = _matcher(wanted)
    found = matches(inputs, lambda device: (device.name,))
    if not found:
        return _choose_source(wanted, matches, inputs, sources())
    if len({device.name for device in found}) > 1:
        raise SourceError(f"device {wanted!r} means more than one; {_there_are(found)}")
    return next((device for device in found if device.is_default), found[0])


def _choose_source(wanted: str, matches: Matcher, inputs: Sequence[Input], sources: Sequence[ServerSource]) -> Input:
    found = matches(sources, lambda source: (source.name, source.description))
    found = [source for source in found if not source.is_monitor] or found
    if not found:
        raise SourceError(f"there is no sound device {wanted!r}; {_there_are([*inputs, *sources])}")
    if len(found) > 1:
        raise SourceError(f"device {wanted!r} means more than one; {_there_are(found)}")
    through = next((device for name in SERVER_DEVICES for device in inputs if device.name == name), None)
    if through is None:
        raise SourceError(f"the sound server's {found[0].name!r} needs its ALSA plugin: apt install {PLUGINS} (Debian)")
    return Input(
        index=through.index,
        name=found[0].description,
        host=through.host,
        channels=found[0].channels,
        rate=found[0].rate,
        is_default=False,
        source=found[0].name,
    )


class Matcher(Protocol):
    """Returns those of the items that a setting means, by their names."""

    def __call__(self, items: Sequence[T], names: Callable[[T], tuple[str, ...]]) -> list[T]: ...


def _matcher(wanted: str) -> Matcher:
    if len(wanted) > 2 and wanted.startswith("/") and wanted.endswith("/"):
        try:
            pattern = re.compile(wanted[1:-1], re.IGNORECASE)
        except re.error as error:
            raise SourceError(f"device {wanted!r} is not a regular expression: {error}") from error
        return lambda items, names: [item for item in items if any(map(pattern.search, names(item)))]
    folded = wanted.casefold()

    def match(items: Sequence[T], names: Callable[[T], tuple[str, ...]]) -> list[T]:
        exact = [item for item in items if folded in map(str.casefold, names(item))]
        return exact or [item for item in items if any(folded in name.casefold() for name in names(item))]

    return match


def _there_are(devices: Sequence[Input | ServerSource]) -> str:
    names = dict.fromkeys(device.name for device in devices)  # each once, in their order
    return "there is none at all" if not names else f"there are: {', '.join(names)}"
