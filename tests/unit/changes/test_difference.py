from __future__ import annotations

import dataclasses

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from earmark.changes.difference import Steps, difference, steps
from earmark.config.brokers import Mqtt
from earmark.config.settings import Classifier, Clips, Config, Decide, Model, Server, Vad, Worker
from earmark.config.sources import Command, File, Microphone, Source
from earmark.control.steering import Change

EMBEDDED = ("earmark/commands", "earmark/emotion")
DESK, HALL = Microphone(name="desk"), File(name="hall", path="a.wav")
WORDS, MOODS = Classifier(name="words"), Classifier(name="moods", model="earmark/emotion", mode="sliding")
CONFIG = Config(source=(DESK, HALL), classifier=(WORDS, MOODS))
NOTHING = Steps((), (), (), (), (), ())


replace = msgspec.structs.replace


def keys(old: Config, new: Config) -> list[str]:
    return [change.key for change in difference(old, new, EMBEDDED).changes]


def restart(old: Config, new: Config) -> tuple[str, ...]:
    return difference(old, new, EMBEDDED).restart


def with_words(**changes: object) -> Config:
    return replace(CONFIG, classifier=(replace(WORDS, **changes), MOODS))


def test_equal_configurations_need_nothing() -> None:
    found = difference(CONFIG, CONFIG)
    assert (found.config, found.changes, found.restart) == (CONFIG, (), ())
    assert steps(CONFIG, CONFIG) == NOTHING


def test_each_setting_that_changes_is_told_with_both_values() -> None:
    new = with_words(decide=Decide(on=0.6, labels={"go": 0.7}), vad=Vad(max_ms=0))
    assert difference(CONFIG, new).changes == (
        Change("classifier[words].vad.max_ms", 10_000, 0),
        Change("classifier[words].decide.on", 0.8, 0.6),
        Change("classifier[words].decide.labels", {}, {"go": 0.7}),
    )


def test_what_is_added_and_removed_is_told_whole() -> None:
    new = replace(CONFIG, source=(HALL, Microphone(name="door")), model=(Model(name="a/b", path="/m"),))
    changes = {change.key: change for change in difference(CONFIG, new).changes}
    assert [*changes] == ["source[desk]", "source[door]", "model[a/b]"]
    assert changes["source[desk]"].after is None
    assert changes["source[door]"].before is None
    told = changes["source[door]"].after
    assert isinstance(told, dict)
    assert (told["kind"], told["name"]) == ("microphone", "door")


def test_the_arguments_of_a_program_are_not_told() -> None:
    def camera(word: str) -> Config:
        return replace(CONFIG, source=(Command(name="camera", argv=("ffmpeg", word)),))

    (change,) = difference(camera("secret-1"), camera("secret-2")).changes
    assert change.key == "source[camera].argv"
    assert "secret" not in str(change)
    assert "secret" not in str(difference(CONFIG, camera("secret-1")).changes)


def test_what_needs_a_restart_is_named_and_stays() -> None:
    server = Server(listen="127.0.0.1:1", backlog=5, allow_hosts=("a",), absent_after=1.0)
    found = difference(CONFIG, replace(CONFIG, server=server, worker=Worker(threads=2), ring=30.0))
    assert set(found.restart) == {"server.listen", "server.backlog", "worker.threads", "ring"}
    assert [change.key for change in found.changes] == ["server.allow_hosts", "server.absent_after"]
    assert found.config == replace(CONFIG, server=Server(allow_hosts=("a",), absent_after=1.0))


def test_a_name_of_a_model_cannot_come_to_mean_another_folder() -> None:
    old = replace(CONFIG, model=(Model(name="a/b", path="/one"),))
    new = replace(CONFIG, model=(Model(name="a/b", path="/two", aliases=("b",)),))
    assert restart(old, new) == ("model[a/b].path",)
    assert keys(old, new) == ["model[a/b].aliases"]
    assert difference(old, new).config.model == (Model(name="a/b", path="/one", aliases=("b",)),)


def test_an_embedded_model_cannot_be_replaced_or_come_back_without_a_restart() -> None:
    mine = replace(CONFIG, model=(Model(name="earmark/emotion", path="/mine"),))
    assert restart(CONFIG, mine) == ("model[earmark/emotion].path",)
    assert restart(mine, CONFIG) == ("model[earmark/emotion]",)
    assert difference(mine, CONFIG, EMBEDDED).config.model == mine.model
    assert keys(CONFIG, replace(CONFIG, model=(Model(name="earmark/emotion", default=True),))) == [
        "model[earmark/emotion]"
    ]


def test_a_model_with_other_labels_or_another_function_begins_its_classifiers_anew() -> None:
    for model in (Model(name="earmark/emotion", function="sigmoid"), Model(name="earmark/emotion", labels=("a", "b"))):
        new = replace(CONFIG, model=(model,))
        assert restart(CONFIG, new) == ()
        changed = replace_steps(changed=(("desk", "moods"), ("hall", "moods")))
        assert steps(CONFIG, new) == steps(new, CONFIG) == changed
        assert steps(new, replace(new, model=(replace(model, aliases=("x",)),))) == NOTHING


def test_numbers_are_tuned_and_nothing_is_lost() -> None:
    new = with_words(decide=Decide(on=0.6), vad=Vad(threshold=0.6), top_k=2)
    assert steps(CONFIG, new) == replace_steps(tuned=(("desk", "words"), ("hall", "words")))


def test_other_given_labels_are_tuned_and_named() -> None:
    for changes in ({"labels": ("a", "b")}, {"background": ("c",)}, {"template": "{}"}):
        new = with_words(**changes)
        found = steps(CONFIG, new)
        assert found == replace_steps(tuned=(("desk", "words"), ("hall", "words")))
        assert found.relabelled(CONFIG, new) == {"words"}
    new = with_words(decide=Decide(on=0.6))
    assert steps(CONFIG, new).relabelled(CONFIG, new) == frozenset()
    new = with_words(labels=("a", "b"), model="earmark/emotion")
    assert steps(CONFIG, new).relabelled(CONFIG, new) == frozenset()


def test_clips_are_switched_on_and_off_without_losing_anything() -> None:
    new = with_words(clips=("stop",))
    assert keys(CONFIG, new) == ["classifier[words].clips"]
    assert steps(CONFIG, new) == replace_steps(tuned=(("desk", "words"), ("hall", "words")))


def test_longer_clips_have_more_sound_kept_where_there_are_any() -> None:
    old = with_words(clips=("stop",))
    new = replace(old, clips=Clips(max_seconds=60.0))
    assert keys(old, new) == ["clips.max_seconds"]
    assert steps(old, new) == replace_steps(tuned=(("desk", "words"), ("hall", "words")))


def test_the_folder_of_clips_needs_a_restart() -> None:
    new = replace(CONFIG, clips=Clips(path="/srv/clips", max_mb=100))
    found = difference(CONFIG, new)
    assert (found.restart, found.config.clips) == (("clips.path",), Clips(max_mb=100))


def test_another_model_gate_or_mode_is_begun_anew() -> None:
    for changes in ({"model": "earmark/emotion"}, {"gate": "level"}, {"mode": "sliding"}, {"hop": 0.5}):
        assert steps(CONFIG, with_words(**changes)) == replace_steps(changed=(("desk", "words"), ("hall", "words")))


def test_a_classifier_comes_and_goes_on_sources_that_stay() -> None:
    without = replace(CONFIG, classifier=(MOODS,))
    pairs = (("desk", "words"), ("hall", "words"))
    assert steps(CONFIG, without) == replace_steps(left=pairs)
    assert steps(without, CONFIG) == replace_steps(changed=pairs)
    assert steps(CONFIG, with_words(sources=("desk",))) == replace_steps(left=(("hall", "words"),))
    assert steps(with_words(sources=("desk",)), CONFIG) == replace_steps(changed=(("hall", "words"),))
    assert steps(CONFIG, with_words(sources=("desk", "hall"))) == NOTHING


def test_sources_come_go_and_are_opened_anew() -> None:
    door = Microphone(name="door")
    assert steps(CONFIG, replace(CONFIG, source=(DESK, door))) == replace_steps(removed=("hall",), added=("door",))
    assert steps(CONFIG, replace(CONFIG, source=(DESK, File(name="hall", path="b.wav")))) == replace_steps(
        replaced=("hall",)
    )
    assert steps(CONFIG, replace(CONFIG, source=(DESK, Microphone(name="hall")))) == replace_steps(replaced=("hall",))


def test_other_quiet_hours_leave_a_source_open() -> None:
    new = replace(CONFIG, source=(replace(DESK, quiet=("22:00-07:00",)), HALL))
    assert steps(CONFIG, new) == NOTHING
    assert keys(CONFIG, new) == ["source[desk].quiet"]


def replace_steps(**steps: tuple[object, ...]) -> Steps:
    return dataclasses.replace(NOTHING, **steps)  # type: ignore[arg-type]  # mypy cannot see through **


sources: st.SearchStrategy[list[Source]] = st.lists(
    st.sampled_from([DESK, HALL, File(name="hall", path="b.wav"), Microphone(name="door")]),
    max_size=3,
    unique_by=lambda source: source.name,
)
classifiers = st.lists(
    st.sampled_from([WORDS, replace(WORDS, top_k=1), replace(WORDS, gate="level"), MOODS]),
    max_size=2,
    unique_by=lambda classifier: classifier.name,
)
configs = st.builds(lambda s, c: Config(source=tuple(s), classifier=tuple(c)), sources, classifiers)


@given(configs, configs)
def test_the_steps_lead_from_any_configuration_to_any_other(old: Config, new: Config) -> None:
    def pairs(config: Config) -> dict[tuple[str, str], tuple[object, object]]:
        return {(s.name, c.name): (s, c) for s in config.source for c in config.classifier}

    found, was, becomes = steps(old, new), pairs(old), pairs(new)
    gone = {*found.removed, *found.replaced}
    opened = {*found.added, *found.replaced}
    reached = {pair: was[pair] for pair in was if pair[0] not in gone and pair not in found.left}
    reached |= {pair: becomes[pair] for pair in (*found.changed, *found.tuned)}
    reached |= {pair: becomes[pair] for pair in becomes if pair[0] in opened}
    assert reached == becomes
    assert difference(old, new).config == new


def test_publishers_come_change_and_go_without_a_restart() -> None:
    one, other = replace(CONFIG, publish=(Mqtt(),)), replace(CONFIG, publish=(Mqtt(qos=0),))
    assert (keys(CONFIG, one), keys(one, other), keys(one, CONFIG)) == (
        ["publish[mqtt]"],
        ["publish[mqtt].qos"],
        ["publish[mqtt]"],
    )
    assert restart(CONFIG, one) == restart(one, other) == ()
    assert difference(one, other, EMBEDDED).config.publish == other.publish


def test_other_files_of_a_certificate_are_taken_at_once_and_tls_on_or_off_needs_a_restart() -> None:
    none, tls = Config(), Config(server=Server(certificate_file="a.pem", key_file="a.key"))
    other = Config(server=Server(certificate_file="b.pem", key_file="a.key"))
    assert (keys(tls, other), restart(tls, other)) == (["server.certificate_file"], ())
    for old, new in ((none, tls), (tls, none)):
        assert (keys(old, new), restart(old, new)) == ([], ("server.certificate_file", "server.key_file"))


def test_proxies_and_the_prefix_are_taken_at_once() -> None:
    new = Config(server=Server(trusted_proxies=("127.0.0.1",), prefix="/earmark"))
    assert (sorted(keys(Config(), new)), restart(Config(), new)) == (["server.prefix", "server.trusted_proxies"], ())
