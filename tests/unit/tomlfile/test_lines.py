from __future__ import annotations

import pytest

from earmark.tomlfile.lines import line_of, located

TEXT = """\
ring = 20.0
# a comment with rate = 3
[server]
listen = "127.0.0.1:8765"

[[source]]
kind = "command"
name = "camera"
argv = [
  "a=b",
]
rate = 0

[[classifier]]
name = "emotion"

[classifier.decide]
on = 0.7
labels = { stop = 0.8 }

[[classifier]] # another one
name = "sounds"
vad.threshold = 2
"""


@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("ring", 1),
        ("server.listen", 4),
        ("server.lissen", 3),  # the table where it should stand
        ("source[0].rate", 12),
        ("source[0].argv[1]", 9),
        ("source[0].kind", 7),
        ("classifier[0].decide.on", 18),
        ("classifier[0].decide.labels", 19),
        ("classifier[0].decide.labels[...]", 19),
        ("classifier[0].vad.threshold", 14),
        ("classifier[1].name", 22),
        ("classifier[1].vad.threshold", 23),
        ("classifier", 14),
        ("source[1].rate", None),
        ("worker.device", None),
    ],
)
def test_a_setting_is_found_where_it_stands(key: str, line: int | None) -> None:
    assert line_of(TEXT, key) == line


def test_a_sentence_gets_the_file_and_the_line() -> None:
    assert located("a.toml", TEXT, "source[0].rate: 0 is none") == "a.toml, line 12: source[0].rate: 0 is none"
    assert located("a.toml", TEXT, "worker.device: is none") == "a.toml: worker.device: is none"
    assert located("a.toml", TEXT, "not valid TOML: (at line 3)") == "a.toml: not valid TOML: (at line 3)"


def test_any_text_is_read() -> None:
    assert line_of("[[[\n=\n[]\n[[a]]\n''' = 3\n", "a[0].b") == 4
