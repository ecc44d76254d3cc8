from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from safetensors.numpy import save_file

from earmark.audio.types import milliseconds
from earmark.config import settings as config
from earmark.deciding.rules import NEVER
from earmark.errors import ConfigError, LabelsRefused
from earmark.listening.plan import default_model, plans, scorings, with_heads
from earmark.protocol.events import LabelSet
from earmark.zeroshot.text_vectors import TextVectors
from tests.engines import FakeEngine, failing
from tests.labelled import clap_folder


def settings(folder: Path | None = None, /, **changes: Any) -> config.Config:
    model = "a/model" if folder else config.DEFAULT_MODEL
    classifier = config.Classifier(name="words", **({"model": model} | changes))
    models = (config.Model(name="a/model", path=str(folder)),) if folder else ()
    return config.Config(classifier=(classifier,), model=models)


@pytest.fixture
def wav2vec2(tmp_path: Path) -> Path:
    """A folder that says of itself what a checkpoint says; the weights are never read here."""
    (tmp_path / "config.json").write_text(
        json.dumps(
            {
                "model_type": "wav2vec2",
                "architectures": ["Wav2Vec2ForSequenceClassification"],
                "id2label": {"0": "happy", "1": "sad"},
            }
        )
    )
    (tmp_path / "preprocessor_config.json").write_text('{"sampling_rate": 16000}')
    (tmp_path / "model.safetensors").touch()
    return tmp_path


def test_the_embedded_model_gives_its_own_window() -> None:
    (plan,) = plans(settings())

    assert plan.lengths.window == plan.lengths.limit == 16000
    assert plan.info.window == 1.0
    assert plan.info.hop == 0.0
    assert plan.sources == ("microphone",)
    assert "stop" in plan.info.labels


def test_a_model_that_takes_any_length_takes_the_settings(wav2vec2: Path) -> None:
    (plan,) = plans(settings(wav2vec2, mode="sliding", window=3.0, hop=0.5))

    assert (plan.lengths.window, plan.lengths.hop) == (48000, 8000)
    assert (plan.info.window, plan.info.hop) == (3.0, 0.5)
    assert plan.seconds > 3.6


@pytest.mark.parametrize(("mode", "hangover"), [("utterance", 128), ("sliding", 500)])
def test_without_a_hangover_it_is_that_of_the_mode(wav2vec2: Path, mode: str, hangover: int) -> None:
    (plan,) = plans(settings(wav2vec2, mode=mode))
    (own,) = plans(settings(wav2vec2, mode=mode, vad=config.Vad(hangover_ms=80)))
    assert (plan.vad.hangover_ms, plan.classifier_input().vad.hangover_ms) == (hangover, hangover)
    assert own.classifier_input().vad.hangover_ms == 80


@pytest.mark.parametrize(("longest", "heard"), [(0.0, 1000), (1.5, 1500)])
def test_an_utterance_may_last_as_long_as_the_models_window_or_as_the_settings_say(longest: float, heard: int) -> None:
    (plan,) = plans(settings(decide=config.Decide(longest=longest)))
    assert plan.rules.longest == heard


def test_an_utterance_may_last_for_ever_where_the_model_takes_any_length(wav2vec2: Path) -> None:
    (plan,) = plans(settings(wav2vec2))
    assert plan.rules.longest == 0


def test_without_settings_a_window_has_a_second_and_an_utterance_ten(wav2vec2: Path) -> None:
    (plan,) = plans(settings(wav2vec2))
    assert (plan.lengths.window, plan.lengths.limit) == (16000, 160000)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"window": 2.0}, "classifier[0].window: earmark/commands takes 1 s at most, not 2 s"),
        ({"max_window": 0.5}, "classifier[0].max_window: 0.5 s is shorter than the model's window, 1 s"),
        (
            {"vad": config.Vad(pre_roll_ms=501)},
            "classifier[0].vad.pre_roll_ms: 501 leaves too little of a window of 1 s for the sound itself",
        ),
        ({"model": "earmark/comand"}, 'classifier[0].model: there is no model "earmark/comand"; did you mean earmark'),
        (
            {"decide": config.Decide(labels={"halt": 0.5})},
            'classifier[0].decide.labels: earmark/commands has no label "halt"',
        ),
    ],
)
def test_what_does_not_fit_is_said(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        plans(settings(**changes))
    assert str(caught.value).startswith(sentence)


def test_a_group_is_a_label_like_others_and_its_members_are_none_any_more(wav2vec2: Path) -> None:
    groups = {"feeling": ("happy", "sad")}
    (plan,) = plans(settings(wav2vec2, groups=groups, clips=("*",), decide=config.Decide(labels={"feeling": 0.9})))

    assert plan.info.labels == plan.rules.labels == plan.clips == ("feeling",)
    assert plan.rules.on == pytest.approx([0.9])


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"groups": {"mood": ("hapy",)}},
            'classifier[0].groups.mood: a/model has no label "hapy"; did you mean happy?',
        ),
        (
            {"groups": {"mood": ("happy",)}, "decide": config.Decide(labels={"happy": 0.5})},
            'classifier[0].decide.labels: "happy" stands in the group "mood"; name that',
        ),
        (
            {"groups": {"mood": ("happy",)}, "clips": ("happy",)},
            'classifier[0].clips: "happy" stands in the group "mood"; name that',
        ),
    ],
)
def test_what_does_not_fit_groups_is_said(wav2vec2: Path, changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        plans(settings(wav2vec2, **changes))
    assert str(caught.value) == sentence


def test_a_group_of_labels_that_never_go_on_does_not_either_unless_it_has_a_threshold() -> None:
    groups = {"nothing": ("_unknown_", "_silence_"), "either": ("yes", "no")}
    (plan,) = plans(settings(groups=groups))
    assert (plan.reserved, "nothing" in plan.deciding.ignore, "either" in plan.deciding.ignore) == (
        ("nothing",),
        True,
        False,
    )
    (asked,) = plans(settings(groups=groups, decide=config.Decide(labels={"nothing": 0.9})))
    assert "nothing" not in asked.deciding.ignore


def test_the_values_of_a_regression_are_reserved_and_one_may_be_called_otherwise(wav2vec2: Path) -> None:
    described = json.loads((wav2vec2 / "config.json").read_text())
    (wav2vec2 / "config.json").write_text(json.dumps(described | {"problem_type": "regression"}))
    (plan,) = plans(settings(wav2vec2, groups={"joy": ("happy",)}))
    assert plan.values == plan.reserved == ("joy", "sad")
    with pytest.raises(ConfigError, match=r'groups\.mood: "happy" has a value and no probability'):
        plans(settings(wav2vec2, groups={"mood": ("happy", "sad")}))


def test_the_groups_must_fit_the_labels_that_the_settings_give_the_model(wav2vec2: Path) -> None:
    classifier = config.Classifier(name="words", model="a/model", groups={"mood": ("happy",)})
    model = config.Model(name="a/model", path=str(wav2vec2), labels=("glad", "sorry"))
    with pytest.raises(ConfigError, match=r'groups\.mood: a/model has no label "happy"'):
        plans(config.Config(classifier=(classifier,), model=(model,)))


def second(folder: Path, changes: dict[str, Any] | None = None, /, **verify: Any) -> config.Config:
    """earmark/commands, confirmed by the model in the folder, or by another one."""
    chosen = config.Verify(**({"model": "a/model"} | verify))
    classifier = config.Classifier(name="words", verify=chosen, **(changes or {}))
    return config.Config(classifier=(classifier,), model=(config.Model(name="a/model", path=str(folder)),))


def test_the_second_model_of_a_plan_is_loaded_too_and_its_rules_know_which_labels_it_confirms(wav2vec2: Path) -> None:
    chosen = second(wav2vec2, sure=0.9, on=0.25, labels={"stop": ("sad",)})
    (plan,) = plans(chosen)

    assert [each.name for each in plan.checkpoints] == ["earmark/commands", "a/model"]
    assert list(scorings([plan]).items()) == [("earmark/commands", "softmax"), ("a/model", "softmax")]
    assert plan.rules.second is not None
    sure = dict(zip(plan.labels, plan.rules.second.sure.tolist(), strict=True))
    assert {label for label, threshold in sure.items() if threshold} == {"stop", "happy"}
    assert (sure["stop"], plan.rules.second.model, plan.rules.second.on) == (pytest.approx(0.9), "a/model", 0.25)


def test_the_members_of_a_group_are_confirmed_by_what_the_group_is_paired_with(wav2vec2: Path) -> None:
    chosen = second(wav2vec2, {"groups": {"halt": ("stop", "off")}}, labels={"halt": ("sad",)})
    (plan,) = plans(chosen)
    assert plan.rules.second is not None
    assert plan.rules.second.sure[plan.labels.index("halt")] == 1


@pytest.mark.parametrize(
    ("verify", "changes", "sentence"),
    [
        ({"model": "a/modal"}, {}, 'verify.model: there is no model "a/modal"; did you mean a/model?'),
        (
            {"model": "earmark/commands"},
            {},
            "verify.model: earmark/commands is the model of the classifier; another one",
        ),
        ({"labels": {"halt": ("sad",)}}, {}, 'verify.labels: words has no label "halt"'),
        ({"labels": {"stop": ("sadd",)}}, {}, 'verify.labels.stop: a/model has no label "sadd"; did you mean sad?'),
        (
            {"labels": {"stop": ("sad",)}},
            {"groups": {"halt": ("stop",)}},
            'verify.labels: words has no label "stop"',
        ),
        (
            {"model": "earmark/commands", "labels": {"dog_bark": ("yes",)}},
            {"model": "earmark/sounds", "mode": "sliding"},
            "verify.model: earmark/commands takes 1 s at most, and windows have up to 3 s; set `window`",
        ),
    ],
)
def test_a_second_look_that_cannot_be_is_said(
    wav2vec2: Path, verify: dict[str, Any], changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        plans(second(wav2vec2, changes, **verify))
    assert str(caught.value).startswith(f"classifier[0].{sentence}")


NO_PROBABILITIES = (
    "classifier[0].verify.model: the scores of a/model are no probabilities (function: {}), so they confirm nothing;"
    " a model is needed whose scores are (sigmoid, or softmax over several labels)"
)


@pytest.mark.parametrize(
    ("described", "function", "told"),
    [
        ({"problem_type": "regression"}, None, "none"),
        ({"problem_type": "regression", "id2label": {"0": "age"}}, None, "none"),
        ({}, "none", "none"),
        ({"id2label": {"0": "age"}}, "softmax", "softmax"),  # always 1
    ],
)
def test_a_model_whose_scores_are_no_probabilities_confirms_nothing(
    wav2vec2: Path, described: dict[str, Any], function: Any, told: str
) -> None:
    whole = json.loads((wav2vec2 / "config.json").read_text()) | described
    (wav2vec2 / "config.json").write_text(json.dumps(whole))
    label = whole["id2label"]["0"]
    (chosen,) = second(wav2vec2, labels={"stop": (label,)}).classifier
    model = config.Model(name="a/model", path=str(wav2vec2), function=function)
    with pytest.raises(ConfigError) as caught:
        plans(config.Config(classifier=(chosen,), model=(model,)))
    assert str(caught.value) == NO_PROBABILITIES.format(told)
    plans(config.Config(classifier=(chosen,), model=(msgspec.structs.replace(model, function="sigmoid"),)))


def test_a_model_of_age_and_gender_confirms_a_gender_and_no_age(wav2vec2: Path) -> None:
    save_file({"age.out_proj.weight": np.zeros((1, 1), np.float32)}, wav2vec2 / "model.safetensors")
    (plan,) = plans(second(wav2vec2, labels={"yes": ("female",)}))
    assert plan.second is not None
    with pytest.raises(ConfigError, match=r'verify\.labels\.yes: the score that a/model gives "age" is no probability'):
        plans(second(wav2vec2, labels={"yes": ("female", "age")}))


@pytest.mark.parametrize("rate", [8000, 16000, 32000])
def test_the_second_model_may_take_a_lower_rate_and_none_that_is_higher(wav2vec2: Path, rate: int) -> None:
    (wav2vec2 / "preprocessor_config.json").write_text(f'{{"sampling_rate": {rate}}}')
    if rate > 16000:
        with pytest.raises(ConfigError, match=r"verify\.model: a/model takes sound of 32000 Hz, and the windows"):
            plans(second(wav2vec2))
    else:
        (plan,) = plans(second(wav2vec2))
        assert plan.second is not None
        assert plan.second[1].rate == rate


def test_a_window_must_be_long_enough_for_the_model(wav2vec2: Path) -> None:
    with pytest.raises(ConfigError, match=r"a/model needs 0\.025 s at least"):
        plans(settings(wav2vec2, window=0.01))


def test_an_utterance_as_long_as_the_models_window_is_not_too_long_though_that_is_no_whole_millisecond() -> None:
    (plan,) = plans(settings())
    odd = replace(plan, checkpoint=replace(plan.checkpoint, window=15_999))
    assert odd.rules.longest == milliseconds(15_999, odd.checkpoint.rate) == 1000


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, "earmark/commands"),
        ({"classifier": (config.Classifier(name="c", model="earmark/sounds"),)}, "earmark/sounds"),
        ({"classifier": (), "model": (config.Model(name="a/b"), config.Model(name="a/c"))}, "a/b"),
        ({"classifier": (), "model": (config.Model(name="a/b"), config.Model(name="a/c", default=True))}, "a/c"),
        ({"classifier": ()}, "earmark/commands"),
    ],
)
def test_clips_that_name_no_model_are_for_the_default_one(changes: dict[str, Any], name: str) -> None:
    assert default_model(config.Config(**changes)) == name


def labelled(tmp_path: Path, **changes: Any) -> config.Config:
    return settings(clap_folder(tmp_path), **({"labels": ("dog", "rain"), "background": ("speech",)} | changes))


def test_the_labels_of_a_model_that_takes_them_are_those_of_the_settings_and_the_background_never_goes_on(
    tmp_path: Path,
) -> None:
    (plan,) = plans(labelled(tmp_path, template="I hear {}", clips=("*",)))
    assert plan.info.labels == plan.labels == ("dog", "rain", "speech")
    assert plan.info.label_set == LabelSet(("dog", "rain"), ("speech",), "I hear {}")
    assert plan.clips == ("dog", "rain")
    assert plan.rules.on.tolist() == pytest.approx([0.8, 0.8, NEVER])
    assert plan.deciding.ignore == (*config.Decide().ignore, "speech")
    assert (plan.lengths.window, plan.lengths.limit) == (48_000, 480_000)


def test_labels_in_words_stand_as_one_and_none_of_them_with_one_of_the_background(tmp_path: Path) -> None:
    (plan,) = plans(labelled(tmp_path, groups={"weather": ("rain",)}))
    assert plan.labels == ("dog", "weather", "speech")
    assert plan.grouping is not None
    assert plan.grouping.adds == (True, True, True)  # a label set shares one mass
    (quiet,) = plans(labelled(tmp_path, groups={"talk": ("speech",)}))
    assert quiet.rules.on[quiet.labels.index("talk")] == NEVER
    with pytest.raises(
        ConfigError, match=r'groups\.talk: "speech" is of the background, which never goes on, and other'
    ):
        plans(labelled(tmp_path, groups={"talk": ("speech", "dog")}))


def test_a_model_that_takes_its_labels_at_run_time_confirms_none(tmp_path: Path) -> None:
    (clap,) = labelled(tmp_path).model
    classifier = config.Classifier(name="words", model="earmark/emotion", verify=config.Verify(model=clap.name))
    with pytest.raises(ConfigError, match=r"verify\.model: .* takes its labels at run time and cannot confirm any"):
        plans(config.Config(classifier=(classifier,), model=(clap,)))


def test_other_classifiers_say_nothing_of_a_label_set() -> None:
    (plan,) = plans(settings())
    assert (plan.label_set, plan.info.label_set) == (None, msgspec.UNSET)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"labels": (), "background": ()},
            "classifier[0].labels: a/model takes its labels from here; say what to tell apart, as in"
            ' labels = ["a dog barking", "rain"]',
        ),
        (
            {"decide": config.Decide(labels={"dogs": 0.5})},
            'classifier[0].decide.labels: a/model has no label "dogs"; did you mean dog?',
        ),
        ({"clips": ("cat",)}, 'classifier[0].clips: a/model has no label "cat"'),
        ({"window": 11.0}, "classifier[0].window: a/model takes 10 s at most, not 11 s"),
    ],
)
def test_a_model_that_takes_labels_needs_them_and_knows_no_others(
    tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        plans(labelled(tmp_path, **changes))
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    "changes", [{"labels": ("dog", "rain")}, {"background": ("speech",)}, {"template": "I hear {}"}]
)
def test_a_model_with_labels_of_its_own_takes_no_others(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        plans(settings(**changes))
    (setting,) = changes
    assert str(caught.value) == (
        f"classifier[0].{setting}: earmark/commands has labels of its own; only a model that takes its labels"
        " at run time (CLAP) takes others"
    )


def test_the_heads_are_those_of_the_label_sets(tmp_path: Path) -> None:
    async def scene() -> None:
        engine = FakeEngine()
        (plan,) = plans(labelled(tmp_path, template="{}"))
        read = await with_heads({plan.name: plan}, TextVectors(engine))
        head = read["words"].head
        assert head is not None
        assert head.vectors.argmax(axis=1).tolist() == [ord(text[-1]) - ord("a") for text in plan.labels]
        assert engine.texts == [["dog", "rain", "speech"]]

    asyncio.run(scene())


def test_labels_that_the_model_cannot_read_are_an_error_at_their_setting(tmp_path: Path) -> None:
    async def scene() -> None:
        engine = FakeEngine()
        engine.vectors = failing(LabelsRefused("a/model: cannot read"))
        (plan,) = plans(labelled(tmp_path))
        with pytest.raises(ConfigError, match=r"^classifier\[0\]\.labels: a/model: cannot read$"):
            await with_heads({plan.name: plan}, TextVectors(engine))

    asyncio.run(scene())
