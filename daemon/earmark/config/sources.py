"""The settings of sources: where sound comes from."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from earmark.config.types import Channels, FilePath, Name, Rate, Settings, Text

Quiet = tuple[Text, ...]  # local times in which the source is paused: "22:00-07:00", "sat,sun 00:00-24:00"


class Microphone(Settings, frozen=True, tag_field="kind", tag="microphone"):
    """A sound device, through PortAudio."""

    name: Name
    device: Text = "default"  # "default", a name or part of one, or /a regular expression/
    rate: Rate | None = None  # Hz; absent: the classifiers' rate where the device allows
    channels: Channels = 1  # mixed to mono
    channel: Channels | None = None  # only this one of them, from 1; as many are opened as that takes
    follow: bool = False  # go on with the other device where the sound server moves the stream to
    quiet: Quiet = ()


class File(Settings, frozen=True, tag_field="kind", tag="file"):
    """A recording, at real time or flat out."""

    name: Name
    path: FilePath
    fast: bool = False  # flat out, with backpressure: nothing is dropped
    loop: bool = False
    channel: Channels | None = None  # only this one, from 1; absent: all, mixed to mono
    quiet: Quiet = ()


class Command(Settings, frozen=True, tag_field="kind", tag="command"):
    """Raw PCM from a program's standard output."""

    name: Name
    argv: Annotated[tuple[Text, ...], Meta(min_length=1)]  # program and arguments; no shell
    rate: Rate = 16000
    channels: Channels = 1  # mixed to mono
    channel: Channels | None = None  # only this one of them, from 1
    format: Literal["s16le", "s32le", "f32le"] = "s16le"
    stall_s: Annotated[float, Meta(ge=0.1, le=3600)] = 2.0  # without sound, after that which came ahead of its time
    quiet: Quiet = ()


class Network(Settings, frozen=True, tag_field="kind", tag="network"):
    """Sound that a client sends over the network, in the form that it announces."""

    name: Name
    channel: Channels | None = None  # only this one, from 1, if the client sends it; absent: all, mixed to mono
    stall_s: Annotated[float, Meta(ge=0.1, le=3600)] = 5.0  # of a connected client without sound
    quiet: Quiet = ()


Source = Microphone | File | Command | Network
