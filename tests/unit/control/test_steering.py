"""control/steering.py"""

import msgspec

from earmark.config.settings import Decide, Vad, Verify
from earmark.config.sources import Command, File
from earmark.control.steering import classifier_status, shown
from earmark.protocol.events import ClassifierInfo

INFO = ClassifierInfo("words", "earmark/commands", ("yes", "no", "_silence_"), ("desk",), "speech", "utterance", 1, 0)


def test_a_status_has_the_threshold_of_each_label_that_can_go_on() -> None:
    status = classifier_status(INFO, Decide(on=0.8, labels={"no": 0.6}), Vad())
    assert status.thresholds == {"yes": 0.8, "no": 0.6}


def test_a_value_has_a_threshold_only_if_it_was_given_one() -> None:
    status = classifier_status(INFO, Decide(on=0.8), Vad(), ("yes",))
    assert status.thresholds == {"no": 0.8}
    asked = classifier_status(INFO, Decide(on=0.8, labels={"yes": 0.3}), Vad(), ("yes", "no"))
    assert asked.thresholds == {"yes": 0.3}


def test_a_status_has_groups_and_a_second_look_only_where_there_are_any() -> None:
    plain = msgspec.to_builtins(classifier_status(INFO, Decide(), Vad()))
    groups, verify = {"word": ("yes", "no")}, Verify("a/model", sure=0.9)
    told = msgspec.to_builtins(classifier_status(INFO, Decide(), Vad(), groups=groups, verify=verify))
    assert told.keys() - plain.keys() == {"groups", "verify"}
    assert (told["groups"], told["verify"]["model"], told["verify"]["sure"]) == (groups, "a/model", 0.9)


def test_a_status_tells_what_the_classifier_is_and_its_settings() -> None:
    decide, vad = Decide(on=0.7), Vad(threshold=0.4)
    status = classifier_status(INFO, decide, vad)

    assert (status.name, status.model, status.labels, status.sources) == (
        INFO.name,
        INFO.model,
        INFO.labels,
        INFO.sources,
    )
    assert (status.gate, status.mode, status.window, status.hop) == ("speech", "utterance", 1, 0)
    assert (status.decide, status.vad) == (decide, vad)


def test_the_settings_of_a_source_are_shown_without_the_arguments_of_its_program() -> None:
    door = shown(Command(name="door", argv=("ffmpeg", "rtsp://user:password@door"), rate=8000))
    assert "argv" not in door
    assert (door["kind"], door["rate"]) == ("command", 8000)
    assert shown(File(name="tape", path="tape.wav"))["path"] == "tape.wav"
