from __future__ import annotations

import pytest

from earmark_client.status import distribution, is_distribution, summary


def test_a_distribution_is_told_by_its_mean_and_by_what_half_and_nearly_all_values_do_not_exceed() -> None:
    lag = {"bounds": [0.05, 0.1, 0.5], "counts": [60, 39, 1, 0], "sum": 4.0}
    assert is_distribution(lag)
    assert distribution(lag) == "100 values, mean 0.04, half up to 0.05, 99 % up to 0.1"


def test_values_above_all_bounds_are_told() -> None:
    told = distribution({"bounds": [1, 2], "counts": [1, 0, 9], "sum": 90})
    assert told == "10 values, mean 9, half beyond 2, 99 % beyond 2"


def test_a_distribution_may_have_no_values() -> None:
    assert distribution({"bounds": [1], "counts": [0, 0], "sum": 0.0}) == "no values"


@pytest.mark.parametrize("other", [{}, {"sum": 1}, [1], 3, {"bounds": [], "counts": [], "sum": 0, "name": "desk"}])
def test_other_content_is_no_distribution(other: object) -> None:
    assert not is_distribution(other)


def test_a_summary_has_what_people_ask_first() -> None:
    info = {
        "version": "0.1.0",
        "sources": [{"name": "desk", "state": "lost", "device": "USB Mic", "detail": "unplugged", "rate": 16000}],
        "classifiers": [{"name": "commands", "model": "earmark/commands", "sources": ["desk"], "labels": ["yes"]}],
        "models": {"default": "earmark/commands", "loaded": ["earmark/commands"], "loading": []},
        "worker": {"phase": "ready", "detail": "", "pid": 7, "device": "cpu", "restarts": 2, "fallback": ""},
        "lost": {"overload": {"times": 3, "seconds": 9.5}},
        "journal": {"state": "ok", "events": 1042, "bytes": 9},
        "subscribers": {"subscribers": 1, "published": 9},
        "loop": {"tasks": 12},
    }
    assert summary(info) == [
        "version              0.1.0",
        "source desk          lost, USB Mic, unplugged",
        "classifier commands  earmark/commands, hears desk",
        "models               loaded earmark/commands",
        "worker               phase ready, device cpu, restarts 2",
        "journal              state ok, events 1042",
        "lost by overload     9.5 s in 3 pieces",
        "subscribers          1",
    ]


def test_groups_and_the_second_look_stand_below_their_classifier_and_the_counts_by_themselves() -> None:
    info = {
        "classifiers": [
            {"name": "sounds", "model": "earmark/sounds", "sources": ["desk"]},
            {"name": "words", "model": "earmark/commands", "sources": []},
        ],
        "second_looks": {"confirmed": 4, "refused": 2, "lost": 0},
    }
    verify = {"model": "acme/dogs", "sure": 0.95, "on": 0.6, "labels": {"animal": ["bark", "howl"], "water": []}}
    groups = {"animal": ["dog_bark", "rooster"], "water": ["rain"]}
    sounds: dict[str, object] = {"name": "sounds", "groups": groups, "verify": verify}
    assert summary(info, [sounds, {"name": "words"}]) == [
        "classifier sounds  earmark/sounds, hears desk",
        "  groups           animal (dog_bark, rooster), water (rain)",
        "  second look      by acme/dogs below 0.95, confirms from 0.6 on: animal by bark or howl, water needs none",
        "classifier words   earmark/commands, hears nothing",
        "second looks       confirmed 4, refused 2",
        "journal            none",
    ]


def test_second_looks_that_never_were_are_none_so_far() -> None:
    info = {"classifiers": [{"name": "a", "model": "m"}], "second_looks": {"confirmed": 0, "refused": 0, "lost": 0}}
    told = summary(info, [{"name": "a", "verify": {"model": "b", "sure": 1.0, "on": 0.5, "labels": {}}}])
    assert told[1:3] == ["  second look  by b below 1.0, confirms from 0.5 on", "second looks   none so far"]


def test_a_summary_of_a_gateway_tells_what_it_reads_and_of_no_journal() -> None:
    told = {"connected": True, "detail": "", "server": "nats:4222", "stream": "EARMARK", "behind": 0, "nodes": 2}
    part = told | {"served_nodes": ["hall", "attic"], "served_sources": [], "silent": 1}
    gone = {"connected": False, "detail": "no answer", "stream": "EARMARK", "nodes": 2}
    assert [summary({"gateway": each}) for each in (told, part, gone)] == [
        ["gateway  reads EARMARK of NATS at nats:4222, nodes 2"],
        ["gateway  reads EARMARK of NATS at nats:4222, only the nodes hall, attic, nodes 2, silent nodes 1"],
        ["gateway  reads EARMARK of NATS, not connected: no answer, nodes 2"],
    ]


@pytest.mark.parametrize(
    "info", [{}, {"journal": None}, {"sources": 3, "classifiers": [4], "lost": [], "models": "x", "subscribers": 7}]
)
def test_a_summary_leaves_out_what_a_daemon_of_another_version_does_not_tell(info: dict[str, object]) -> None:
    assert summary(info) == ["journal  none"]


def test_nothing_in_a_summary_moves_the_cursor_of_a_terminal() -> None:
    told = summary({"sources": [{"name": "a\x1b[2J", "state": "lost", "detail": "b\x1b[2J\nready"}]})
    assert all(line.isprintable() for line in told)


def test_a_device_that_the_detail_begins_with_is_told_once() -> None:
    phone = {"name": "phone", "state": "lost", "device": "192.168.1.20", "detail": "192.168.1.20 has ended"}
    assert "source phone  lost, 192.168.1.20 has ended" in summary({"sources": [phone]})


def test_one_loss_is_one_piece() -> None:
    assert "lost by worker  0.5 s in 1 piece" in summary({"lost": {"worker": {"times": 1, "seconds": 0.5}}})
