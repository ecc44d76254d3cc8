"""What `earmarkd --demo` shows: the bundled recording, heard by the three embedded models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from earmark.config import presets
from earmark.config import settings as config
from earmark.listening.plan import plans
from tests.daemon import DEADLINE, earmarkd, events
from tests.signals import demo_parts

HEARD = {plan.name: plan.info for plan in plans(config.Config(classifier=presets.ALL))}
ONSET = 0.1  # seconds by which a gate may take the onset to be earlier
LATE = 1.5  # seconds: the gate's hangover (at most 0.8), and what still sounds in a room


@pytest.fixture(scope="module")
def labels() -> list[dict[str, Any]]:
    """All label events of the demo, heard once."""
    done = earmarkd("--demo", "--fast", "--once", "--events", "-", timeout=2 * DEADLINE)
    assert done.returncode == 0, done.stderr
    assert events(done.stdout, "loss") == []
    return events(done.stdout, "label")


def test_the_demo_has_words_emotions_and_sounds_in_this_order() -> None:
    parts = demo_parts()

    assert [part.classifier for part in parts] == sorted(part.classifier for part in parts)
    for classifier, least in (("commands", 10), ("emotion", 1), ("sounds", 2)):
        assert len({part.label for part in parts if part.classifier == classifier}) >= least
    assert parts[-1].end < 75


def test_every_word_is_heard_at_its_place_and_no_other(labels: list[dict[str, Any]]) -> None:
    words = [part for part in demo_parts() if part.classifier == "commands" and part.label != "_unknown_"]

    heard = [label for label in labels if label["classifier"] == "commands"]

    assert [label["label"] for label in heard] == [word.label for word in words]
    for label, word in zip(heard, words, strict=True):
        assert label["start"] == pytest.approx(word.start, abs=0.3)
        assert label["end"] == pytest.approx(word.end, abs=0.3)


@pytest.mark.parametrize("classifier", ["emotion", "sounds"])
def test_what_lasts_goes_on_where_it_is_and_off_again_and_nothing_else_does(
    classifier: str, labels: list[dict[str, Any]]
) -> None:
    parts = [part for part in demo_parts() if part.classifier == classifier]

    ons, offs = (
        [item for item in labels if (item["classifier"], item["state"]) == (classifier, state)]
        for state in ("on", "off")
    )

    assert [on["label"] for on in ons] == [part.label for part in parts]
    assert [off["id"] for off in offs] == [on["id"] for on in ons]
    # The first window ends one hop after the onset, and a label begins where its first window does
    reach = HEARD[classifier].window - HEARD[classifier].hop
    for on, off, part in zip(ons, offs, parts, strict=True):
        assert part.start - reach - ONSET <= on["start"] < part.end
        assert part.start < off["end"] <= part.end + LATE


def test_the_demo_with_a_configuration_is_heard_by_its_classifiers(tmp_path: Path) -> None:
    settings = tmp_path / "earmark.toml"
    settings.write_text('[[classifier]]\nname = "words"\n')

    alone = earmarkd("--check", "--demo")
    configured = earmarkd("--check", "--demo", "--config", str(settings))

    checked = [
        [line.split()[1] for line in done.stdout.splitlines() if line.startswith("classifier ")]
        for done in (alone, configured)
    ]
    assert checked == [[f"{each.name}:" for each in presets.ALL], ["words:"]]
