from __future__ import annotations

from typing import Any

import pytest

from earmark.config import presets
from earmark.config import settings as config
from earmark.config.complaints import complaints, useless
from earmark.config.settings import Classifier, Config, Decide, Server, Vad


def of(**classifier: Any) -> Config:
    return Config(classifier=(Classifier(name="c", **classifier),))


@pytest.mark.parametrize("host", ["*", "*.example.org", "https://example.org", "a b", "", "example.org/earmark"])
def test_a_host_that_would_allow_nothing_is_told(host: str) -> None:
    assert list(complaints(Config(server=Server(allow_hosts=(host,))))) == [
        f'server.allow_hosts: "{host}" is no name or address, so it would allow nothing; write each in full'
    ]


@pytest.mark.parametrize("origin", ["*", "https://*.example.org", "example.org", "https://example.org/page", ""])
def test_an_origin_that_would_allow_nothing_is_told(origin: str) -> None:
    (told,) = complaints(Config(server=Server(allow_origins=(origin,))))
    assert told.startswith(f'server.allow_origins: "{origin}" is no origin, so it would allow nothing; ')


def test_names_addresses_and_origins_in_full_are_allowed() -> None:
    hosts = ("earmark", "example.org:8765", "192.168.1.20", "[fe80::1%eth0]", "[::1]:80", "fe80::1", "größe.example")
    origins = ("https://example.org", "http://[::1]:3000/", "null", "chrome-extension://abcdef")
    assert list(complaints(Config(server=Server(allow_hosts=hosts, allow_origins=origins)))) == []


@pytest.mark.parametrize("device", ["/(/", "/a{99999999999}/"])
def test_a_device_that_is_no_regular_expression_is_told(device: str) -> None:
    (told,) = complaints(Config(source=(config.Microphone(name="m", device=device),)))
    assert told.startswith(f"source[0].device: {device!r} is not a regular expression: ")


def test_a_label_cannot_end_before_it_may() -> None:
    (told,) = complaints(of(mode="sliding", decide=Decide(min_on=2.0, max_on=1.0)))
    assert told == "classifier[0].decide.max_on: 1.0 s is shorter than min_on = 2.0 s"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"hop": 0.5}, 'classifier[0].hop: has no effect with mode = "utterance"'),
        ({"decide": Decide(smooth=1)}, 'classifier[0].decide.smooth: has no effect with mode = "utterance"'),
        (
            {"mode": "sliding", "decide": Decide(margin=0.2)},
            'classifier[0].decide.margin: has no effect with mode = "sl',
        ),
        ({"mode": "sliding", "max_window": 3.0}, 'classifier[0].max_window: has no effect with mode = "sliding"'),
        ({"vad": Vad(level_db=12.0)}, 'classifier[0].vad.level_db: has no effect with gate = "speech"'),
        (
            {"gate": "level", "vad": Vad(threshold=0.4)},
            'classifier[0].vad.threshold: has no effect with gate = "level"',
        ),
        (
            {"gate": "open", "mode": "sliding", "vad": Vad(min_speech_ms=0)},
            'classifier[0].vad.min_speech_ms: has no effect with gate = "open"',
        ),
    ],
)
def test_a_setting_without_effect_is_told(changes: dict[str, Any], told: str) -> None:
    (found,) = useless(of(**changes))
    assert found.startswith(told)


def test_a_source_that_no_classifier_hears_is_told() -> None:
    sources = (config.Microphone(name="kitchen"), config.Microphone(name="hall"))
    unheard = Config(source=sources, classifier=(Classifier(name="c", sources=("hall",)),))
    assert list(useless(unheard)) == ["source[0]: no classifier hears kitchen; name it in `sources` of one"]


def test_without_sources_a_classifier_is_not_useless() -> None:
    assert list(useless(Config(source=()))) == []


def test_the_presets_and_the_defaults_hold_no_useless_setting() -> None:
    assert list(useless(Config())) == list(useless(Config(classifier=presets.ALL))) == []


def test_a_channel_that_a_stream_does_not_have_is_told() -> None:
    command = config.Command(name="c", argv=("true",), channels=2, channel=3)
    assert list(complaints(Config(source=(command,)))) == [
        "source[0].channel: there is no channel 3; `channels` says 2"
    ]
    assert list(complaints(Config(source=(config.Command(name="c", argv=("true",), channels=2, channel=2),)))) == []
    assert list(complaints(Config(source=(config.Microphone(name="m", channel=2),)))) == []
