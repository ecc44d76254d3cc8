from __future__ import annotations

import msgspec
import pytest

from earmark.devices.inputs import Device, choose, format_sources, format_table
from earmark.devices.portaudio import Input
from earmark.devices.sound_server import ServerSource
from earmark.errors import SourceError


def device(name: str, *, host: str = "ALSA", is_default: bool = False, index: int = 0) -> Input:
    return Input(index=index, name=name, host=host, channels=1, rate=48000, is_default=is_default)


DEVICES = [
    device("HDA Intel PCH: ALC257 (hw:0,0)"),
    device("Jabra Speak 510: USB Audio (hw:1,0)"),
    device("Jabra Link 380: USB Audio (hw:2,0)"),
    device("pulse"),
    device("default", is_default=True),
]


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        ("default", "default"),
        ("pulse", "pulse"),
        ("PULSE", "pulse"),
        ("speak 510", "Jabra Speak 510: USB Audio (hw:1,0)"),
        ("hw:0,0", "HDA Intel PCH: ALC257 (hw:0,0)"),
        ("/jabra.*hw:2/", "Jabra Link 380: USB Audio (hw:2,0)"),
        ("/^pul/", "pulse"),
    ],
)
def test_a_device_is_meant_by_its_name_a_part_of_it_or_a_pattern(wanted: str, name: str) -> None:
    assert choose(wanted, DEVICES).name == name


def test_an_exact_name_wins_over_names_that_contain_it() -> None:
    assert choose("usb", [device("USB Mic"), device("usb"), device("USB Hub")]).name == "usb"


def test_the_default_device_is_the_one_marked_whatever_its_name() -> None:
    assert choose("default", [device("default"), device("Mic", is_default=True)]).name == "Mic"


def test_a_part_of_two_names_is_refused_with_both_names() -> None:
    with pytest.raises(SourceError, match=r"'jabra' means more than one; there are: Jabra Speak 510.*, Jabra Link 380"):
        choose("jabra", DEVICES)


def test_one_name_under_two_interfaces_is_one_device() -> None:
    twice = [device("Mic", host="MME", index=1), device("Mic", host="WASAPI", is_default=True, index=2)]
    assert choose("mic", twice).host == "WASAPI"
    assert choose("mic", [device("Mic", index=1), device("Mic", index=2)]).index == 1


def test_an_absent_device_is_refused_with_what_there_is() -> None:
    with pytest.raises(SourceError, match="there is no sound device 'Yeti'; there are: pulse"):
        choose("Yeti", [device("pulse")])
    with pytest.raises(SourceError, match="there is no sound device 'Yeti'; there is none at all"):
        choose("Yeti", [])


def test_a_missing_default_is_said() -> None:
    with pytest.raises(SourceError, match="there is no default sound device; there are: pulse"):
        choose("default", [device("pulse")])


def test_a_number_is_a_part_of_a_name_and_never_an_index() -> None:
    with pytest.raises(SourceError, match="no sound device '3'"):
        choose("3", [device("pulse", index=3)])


def test_a_broken_pattern_is_said() -> None:
    with pytest.raises(SourceError, match=r"'/\(/' is not a regular expression: missing \)"):
        choose("/(/", DEVICES)


def source(name: str, description: str, *, is_monitor: bool = False) -> ServerSource:
    return ServerSource(name, description, 2, 44100, is_monitor)


SOURCES = [
    source("alsa_output.usb-Yeti.monitor", "Monitor of Yeti Headphones", is_monitor=True),
    source("alsa_input.usb-Yeti", "Yeti Stereo Microphone"),
    source("alsa_input.pci", "Built-in Audio"),
]


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        ("alsa_input.usb-Yeti", "alsa_input.usb-Yeti"),
        ("yeti stereo microphone", "alsa_input.usb-Yeti"),
        ("Yeti", "alsa_input.usb-Yeti"),
        ("/^built/", "alsa_input.pci"),
        ("Monitor of Yeti", "alsa_output.usb-Yeti.monitor"),
    ],
)
def test_a_microphone_of_the_sound_server_is_meant_by_its_name_or_description(wanted: str, name: str) -> None:
    found = choose(wanted, DEVICES, lambda: SOURCES)
    assert (found.source, found.index, found.channels, found.rate) == (name, DEVICES[3].index, 2, 44100)


def test_what_portaudio_lists_is_not_looked_for_at_the_sound_server() -> None:
    assert choose("Jabra Link", DEVICES, lambda: [source("x", "Jabra Link")]).source == ""


def test_what_means_two_microphones_of_the_sound_server_or_none_is_refused_with_the_names() -> None:
    with pytest.raises(SourceError, match=r"'alsa_input' means more than one; there are: alsa_input.usb-Yeti, "):
        choose("alsa_input", DEVICES, lambda: SOURCES)
    with pytest.raises(SourceError, match=r"no sound device 'Zoom'; there are: HDA.*, alsa_input\.pci"):
        choose("Zoom", DEVICES, lambda: SOURCES)


def test_without_its_alsa_plugin_a_microphone_of_the_sound_server_says_what_to_install() -> None:
    with pytest.raises(SourceError, match="apt install libasound2-plugins"):
        choose("Yeti", DEVICES[:3], lambda: SOURCES)


def test_the_table_of_the_sound_server_stars_the_default_and_ends_with_the_monitors() -> None:
    assert format_sources(SOURCES, "alsa_input.pci").splitlines() == [
        "   of the sound server           channels  rate (Hz)  description",
        "   alsa_input.usb-Yeti           2         44100      Yeti Stereo Microphone",
        "*  alsa_input.pci                2         44100      Built-in Audio",
        "   alsa_output.usb-Yeti.monitor  2         44100      Monitor of Yeti Headphones",
    ]


LISTED = [
    Device(name="pulse", host="ALSA", channels=32, rate=44100, rates=(8000, 16000), is_default=True),
    Device(name="USB Mic", host="ALSA", channels=1, rate=48000, rates=(), is_default=False),
]


def test_the_table_stars_the_default_and_shows_the_rates() -> None:
    assert format_table(LISTED).splitlines() == [
        "   device   through  channels  opens at (Hz)",
        "*  pulse    ALSA     32        8000 16000",
        "   USB Mic  ALSA     1         none now",
    ]


def test_an_empty_table_says_so() -> None:
    assert format_table([]) == "no device to record from"


def test_devices_travel_as_json() -> None:
    assert msgspec.json.decode(msgspec.json.encode(LISTED), type=list[Device]) == LISTED
