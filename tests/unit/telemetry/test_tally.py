from __future__ import annotations

from earmark.broadcast.sink import Published
from earmark.protocol.events import Config, ConfigCause, Label, Loss, Numbered, Source
from earmark.telemetry.tally import OTHER, Tally
from tests.serving import TIME, command, result


def counted(*events: Numbered, **limits: int) -> Tally:
    tally = Tally(**limits)
    for event in events:
        tally.publish(Published(event, b""))
    return tally


def off(label: str) -> Label:
    return Label(1, TIME, "desk", "sounds", "e-1", label, "off", 1.0, end=2.0, reason="quiet")


def test_events_are_counted_by_the_type_that_subscribers_choose_them_by() -> None:
    tally = counted(
        result(1),
        result(2, suppressed="margin"),
        command(3),
        off("bark"),
        Source(5, TIME, "desk", "lost"),
        Loss(6, TIME, "desk", 1.0, 2.0, "device"),
    )
    assert tally.stats().types == {"result": 1, "suppressed": 1, "label": 2, "source": 1, "loss": 1}


def test_a_label_is_counted_when_it_goes_on_and_not_when_it_goes_off() -> None:
    assert counted(command(1, "stop"), command(2, "stop"), command(3, "go"), off("bark")).stats().labels == {
        "commands": {"stop": 2, "go": 1}
    }


def test_changes_of_the_daemon_are_counted_by_their_cause() -> None:
    causes: tuple[ConfigCause, ...] = ("reload", "api", "api")
    tally = counted(*(Config(number, TIME, (), (), cause) for number, cause in enumerate(causes)))
    assert (tally.stats().changes, tally.stats().types) == ({"reload": 1, "api": 2}, {"config": 3})


def test_the_lag_of_each_result_is_counted_by_classifier_and_that_of_labels_is_not_counted_again() -> None:
    lags = counted(result(1, lag=0.02), result(2, lag=9.0), command(3)).stats().lag
    assert lags.keys() == {"commands"}
    assert (lags["commands"].counts[2], lags["commands"].counts[-1], lags["commands"].sum) == (1, 1, 9.02)


def test_a_model_of_very_many_labels_has_as_many_counts_as_the_limit_and_one_for_the_rest() -> None:
    tally = counted(*(command(number, f"label {number % 5}") for number in range(20)), max_labels=3)
    assert tally.stats().labels == {"commands": {"label 0": 4, "label 1": 4, "label 2": 4, OTHER: 8}}


def test_classifiers_beyond_the_limit_are_counted_together() -> None:
    names = ("one", "two", "three", "four", "one")
    tally = counted(*(result(1, classifier=name) for name in names), max_classifiers=2)
    assert {name: sum(each.counts) for name, each in tally.stats().lag.items()} == {"one": 2, "two": 1, OTHER: 2}


def test_labels_of_classifiers_beyond_the_limit_are_counted_together_and_within_the_limit_of_labels() -> None:
    events = [
        Label(1, TIME, "desk", f"c{number}", "e-1", f"label {number}", "on", 1.0, 0.9) for number in (0, 1, 2, 3, 1)
    ]
    assert counted(*events, max_classifiers=1, max_labels=2).stats().labels == {
        "c0": {"label 0": 1},
        OTHER: {"label 1": 2, "label 2": 1, OTHER: 1},
    }
