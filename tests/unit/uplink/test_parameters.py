from __future__ import annotations

from urllib.parse import parse_qsl

import pytest

from earmark.errors import SubscriptionError
from earmark.uplink.parameters import Announced, parse


@pytest.mark.parametrize(
    ("query", "announced"),
    [
        ("source=phone", Announced("phone", 16000, 1, "s16le", None)),
        ("source=phone&rate=48000&channels=2&format=f32le", Announced("phone", 48000, 2, "f32le", None)),
        ("source=phone&lost=2.5", Announced("phone", lost=2.5)),
        ("source=phone&rate=1000&channels=64&lost=0", Announced("phone", 1000, 64, lost=0.0)),
    ],
)
def test_parameters_have_defaults(query: str, announced: Announced) -> None:
    assert parse(parse_qsl(query)) == announced


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("", "source: name the source that the sound is for"),
        ("source=", "source: name the source that the sound is for"),
        ("source=a&source=b", "source: given twice, and one value is wanted"),
        ("source=a&rte=1", "rte: no such parameter; did you mean rate? known are source, rate, channels, format, lost"),
        ("source=a&rate=0", "rate: '0' is not a sample rate (Hz, 1000 to 768000)"),
        ("source=a&rate=999", "rate: '999' is not a sample rate (Hz, 1000 to 768000)"),
        ("source=a&rate=768001", "rate: '768001' is not a sample rate (Hz, 1000 to 768000)"),
        ("source=a&rate=16e3", "rate: '16e3' is not a sample rate (Hz, 1000 to 768000)"),
        ("source=a&rate=" + "9" * 99, "rate: '9999"),
        ("source=a&channels=0", "channels: '0' is not a number of channels, 1 to 64"),
        ("source=a&channels=65", "channels: '65' is not a number of channels, 1 to 64"),
        ("source=a&format=mp3", "format: 'mp3' is not known; known are s16le, f32le"),
        ("source=a&lost=-1", "lost: '-1' is not a time in seconds, 0 to 86400"),
        ("source=a&lost=nan", "lost: 'nan' is not a time in seconds, 0 to 86400"),
        ("source=a&lost=soon", "lost: 'soon' is not a time in seconds, 0 to 86400"),
    ],
)
def test_a_wrong_parameter_is_named(query: str, sentence: str) -> None:
    with pytest.raises(SubscriptionError) as caught:
        parse(parse_qsl(query, keep_blank_values=True))
    assert str(caught.value).startswith(sentence)
