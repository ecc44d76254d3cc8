"""How the embedded models are measured in streams: what is played, what is counted, the tables in docs/models.md."""

from __future__ import annotations

import json
import tomllib
from functools import partial
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed (the extra `daemon`)")
pytest.importorskip("matplotlib", reason="matplotlib is not installed (the extra `dev`)")

from earmark.config import presets
from earmark.config.file import parse
from earmark.config.settings import Classifier
from earmark.deciding.sliding import SlidingDecider
from earmark.deciding.utterances import UtteranceDecider
from earmark.protocol.events import Label, Result, Score, Why
from tests.signals import demo, noise, tone
from training.data.audio import RATE, Samples
from training.data.corpora import WORDS
from training.streams.card import table_of
from training.streams.match import NOTHING, Fired, Tally, matched, rate_interval
from training.streams.measure import Trial, row
from training.streams.offline import plan_of
from training.streams.play import as_toml, fired_of, played
from training.streams.stream import LEAD, SCENES, Item, Placed, Stream, dealt, lay
from training.streams.sweep import decided

ROOT = Path(__file__).parents[2]
REPORTS = ROOT / "training" / "reports" / "streams"


def beep(seconds: float = 0.4) -> Samples:
    """A tone in the middle of a second of hiss."""
    sound = noise(RATE, -70)
    middle = slice(RATE // 2 - int(seconds * RATE) // 2, RATE // 2 + int(seconds * RATE) // 2)
    sound[middle] += tone(middle.stop - middle.start, 440)
    return sound


ITEMS: list[Item] = [(f"label{k}", beep) for k in range(6)]


def test_the_truth_says_where_the_sound_is() -> None:
    stream = lay(ITEMS[:3], SCENES["quiet"], {}, (0.8, 2.0), seed=1)
    assert [placed.label for placed in stream.truth] == ["label0", "label1", "label2"]
    for placed in stream.truth:
        assert placed.end - placed.start == pytest.approx(0.4, abs=0.03)
        inside = stream.sound[round(placed.start * RATE) : round(placed.end * RATE)]
        before = stream.sound[round(placed.start * RATE) - RATE // 4 : round(placed.start * RATE) - RATE // 100]
        assert np.square(inside).mean() > 1000 * np.square(before).mean()
    assert stream.truth[0].start > LEAD / RATE


@pytest.mark.parametrize("ratio", [20.0, 5.0])
def test_noise_is_as_far_below_as_the_scene_says(ratio: float) -> None:
    scene = next(scene for scene in SCENES.values() if scene.snr_db == ratio)
    quiet = lay(ITEMS, SCENES["quiet"], {}, (1.0, 1.0), seed=3)
    noisy = lay(ITEMS, scene, {"background": [noise(5 * RATE, -20)]}, (1.0, 1.0), seed=3)
    level = 10 * np.log10(np.square(noisy.sound[: LEAD // 2]).mean())
    assert level == pytest.approx(-26 - ratio, abs=0.5)
    assert quiet.truth == noisy.truth


def test_a_room_makes_it_longer_and_not_louder() -> None:
    dry = lay(ITEMS, SCENES["quiet"], {}, (1.0, 1.0), seed=3)
    wet = lay(ITEMS, SCENES["rooms"], {}, (1.0, 1.0), seed=3)
    assert np.square(wet.sound).mean() == pytest.approx(np.square(dry.sound).mean(), rel=0.05)
    assert not np.allclose(wet.sound, dry.sound, atol=0.01)


def test_in_a_room_a_sound_is_still_where_the_truth_says() -> None:
    wet = lay(ITEMS[:1], SCENES["rooms"], {}, (1.0, 1.0), seed=3)
    (placed,) = wet.truth
    power = np.square(wet.sound)
    inside = power[round(placed.start * RATE) : round(placed.end * RATE)].sum()
    assert inside > 0.6 * power.sum()
    assert power[: round((placed.start - 0.1) * RATE)].sum() < 0.01 * power.sum()


def test_everything_is_dealt_out_once_and_the_same_again() -> None:
    parts = dealt(ITEMS, 4, seed=0)
    assert sorted(label for part in parts for label, _ in part) == [label for label, _ in ITEMS]
    assert parts == dealt(ITEMS, 4, seed=0)


TRUTH = [Placed("yes", 1.0, 1.5), Placed("no", 3.0, 3.5), Placed("_sentence_", 5.0, 9.0)]


def told(*fired: Fired) -> Tally:
    return matched(TRUTH, fired, ("yes", "no"), from_end=True)


def test_a_label_over_its_word_is_found_after_so_long() -> None:
    tally = told(Fired("yes", 1.1, 1.4, 1.75), Fired("no", 3.6, 3.7, 4.0))
    assert (tally.found.total(), tally.mistaken.total(), tally.false.total()) == (2, 0, 0)
    assert tally.delays == [pytest.approx(0.25), pytest.approx(0.5)]


def test_another_label_over_a_word_is_mistaken_and_nothing_is_missed() -> None:
    tally = told(Fired("no", 1.1, 1.4, 1.75))
    assert (tally.found.total(), tally.mistaken.total(), tally.placed.total()) == (0, 1, 2)
    assert tally.false.total() == 0


def test_what_fires_elsewhere_is_false_by_what_sounded_there() -> None:
    tally = told(Fired("yes", 6.0, 6.3, 6.5), Fired("yes", 11.0, 11.2, 11.5), Fired("yes", 1.0, 1.4, 1.7))
    assert tally.false == {"_sentence_": 1, NOTHING: 1}
    assert tally.found.total() == 1


def test_the_interval_of_a_rate_is_poissons() -> None:
    assert rate_interval(0, 1.0) == pytest.approx((0.0, 3.689), abs=0.01)
    assert rate_interval(10, 2.0) == pytest.approx((4.795 / 2, 18.39 / 2), abs=0.01)


@pytest.mark.parametrize("preset", presets.ALL, ids=lambda preset: preset.name)
def test_a_preset_survives_being_written_as_toml(preset: Classifier) -> None:
    assert parse(tomllib.loads(as_toml(preset))).classifier == (preset,)


def results(*windows: tuple[float, float, str, float, bool]) -> list[tuple[float, Result]]:
    labels = plan_of(presets.SOUNDS, None).checkpoint.labels
    return [
        (
            end + 0.1,
            Result(0, "", "s", "sounds", start, end, final, 0.05,
                   tuple(Score(score if label == best else (1 - score) / 20, label) for label in labels)),
        )
        for start, end, best, score, final in windows
    ]  # fmt: skip


def test_decisions_can_be_made_again_from_what_was_published() -> None:
    plan = plan_of(presets.SOUNDS, None)
    windows = results(
        (0, 3, "rain", 0.99, False), (1, 4, "rain", 0.99, False), (2, 5, "rain", 0.99, False), (3, 6, "rain", 0.9, True)
    )
    (rain,) = decided(windows, SlidingDecider(plan.rules), plan.checkpoint.labels)
    assert (rain.label, rain.end) == ("rain", 6)
    assert decided(results((0, 3, "rain", 0.2, True)), SlidingDecider(plan.rules), plan.checkpoint.labels) == []
    (word,) = decided(windows[:1], UtteranceDecider(plan_of(presets.SOUNDS, None).rules), plan.checkpoint.labels)
    assert (word.start, word.end, word.at) == (0, 3, 3.1)


@pytest.mark.realtime
def test_streams_are_heard_by_the_whole_daemon() -> None:
    """Two streams of beeps, in which the command model finds utterances, and how long each took is known."""
    streams = [lay(ITEMS[:2], SCENES["quiet"], {}, (0.8, 1.0), seed=k) for k in range(2)]
    gate = Classifier(name="commands", gate="level")
    for stream, heard in zip(streams, played(streams, gate), strict=True):
        assert len(heard.results) == len(stream.truth)
        for (at, result), placed in zip(heard.results, stream.truth, strict=True):
            assert result.start == pytest.approx(placed.start, abs=0.1)
            assert result.end == pytest.approx(placed.end, abs=0.1)
            assert at > placed.end
            assert len(result.result) == len(plan_of(gate, None).checkpoint.labels)


@pytest.mark.realtime
def test_labels_of_words_come_with_when_they_came() -> None:
    """The words of the demo, two streams of them, through the whole daemon."""
    samples, _, words = demo(8)
    items: list[Item] = [
        (word.label, partial(_cut, samples, word.start, word.end)) for word in words if word.label != "_unknown_"
    ]
    streams = [lay(part, SCENES["quiet"], {}, (0.8, 1.0), seed=k) for k, part in enumerate(dealt(items, 2, seed=0))]
    tally = Tally()
    for stream, heard in zip(streams, played(streams, presets.COMMANDS), strict=True):
        tally.add(matched(stream.truth, heard.labels, WORDS, from_end=True))
        assert heard.lost == 0
    assert tally.found.total() >= 0.8 * tally.placed.total()
    assert min(tally.delays) > -0.2  # a label cannot come long before its word has ended
    assert tally.false.total() == 0


def _cut(samples: Samples, start: float, end: float) -> Samples:
    return samples[round((start - 0.1) * RATE) : round((end + 0.1) * RATE)]


@pytest.mark.realtime
def test_when_a_window_came_is_told_by_the_clock_that_its_sound_was_played_by() -> None:
    streams = [lay(ITEMS[:2], SCENES["quiet"], {}, (0.8, 1.0), seed=0)]
    always = Classifier(name="commands", gate="open", mode="sliding")
    (heard,) = played(streams, always)
    late = [at - result.end - result.lag for at, result in heard.results if not result.final]
    assert len(late) >= 3
    assert np.median(late) == pytest.approx(0, abs=0.4)


def test_a_sliding_label_begins_with_the_newest_of_its_first_window() -> None:
    why = Why(0.9, 0.9, 0.7, hits=2, needed=2, gate="level")
    result = Result(1, "", "s", "sounds", 2.0, 7.0)
    on = Label(2, "", "s", "sounds", "a-1", "rain", "on", 1.5, score=0.9, why=why)
    off = Label(3, "", "s", "sounds", "a-1", "rain", "off", 1.5, end=9.0, reason="quiet")
    assert fired_of([(7.1, result), (7.1, on), (9.2, off)], 0.5) == [Fired("rain", 6.0, 9.0, 7.1)]
    assert fired_of([(7.1, on), (8.2, on)], 0.5)[0].end == 8.2  # never went off
    assert fired_of([(7.1, result), (7.1, on)], 0.0)[0].start == 1.5  # of an utterance


def test_what_else_goes_on_over_a_found_one_is_false() -> None:
    tally = told(Fired("yes", 1.0, 1.4, 1.7), Fired("no", 1.2, 1.5, 1.8))
    assert (tally.found.total(), tally.mistaken.total(), tally.false) == (1, 0, {"yes": 1})


def test_a_row_quotes_the_ten_words_and_keeps_the_others() -> None:
    tally = Tally()
    tally.placed.update(yes=4, bed=2)
    tally.found.update(yes=3, bed=2)
    tally.delays += [0.2, 0.3, 0.4]
    figures = row(Trial("words", (), "quiet", (), (1, 1), True), tally, 360, 0)
    assert (figures["placed"], figures["found"], figures["hours"]) == (4, 3, 0.1)
    assert figures["labels"] == {"bed": [2, 2], "yes": [3, 4]}
    assert figures["delay_ms"] == {"median": 300, "p90": 380}


@pytest.mark.parametrize("preset", presets.ALL, ids=lambda preset: preset.name)
def test_the_tables_and_pictures_are_those_of_the_reports(preset: Classifier) -> None:
    report = json.loads((REPORTS / f"{preset.name}.json").read_text())
    document = (ROOT / "docs" / "models.md").read_text()
    assert table_of(report) in document
    assert f"../training/reports/streams/{preset.name}.png" in document
    assert (REPORTS / f"{preset.name}.png").is_file()


@pytest.mark.parametrize("preset", presets.ALL, ids=lambda preset: preset.name)
def test_what_was_measured_are_the_presets(preset: Classifier) -> None:
    """But for `min_on` and `min_sound`, which are younger than the measurements, as docs/models.md says."""
    measured = json.loads((REPORTS / f"{preset.name}.json").read_text())["settings"]
    measured["decide"] = {name: value for name, value in measured["decide"].items() if name != "min_on"}
    assert parse({"classifier": [measured]}).classifier == (preset,)


def test_a_stream_lasts_as_long_as_its_sound() -> None:
    assert Stream(np.zeros(RATE * 3, np.float32), ()).seconds == 3
