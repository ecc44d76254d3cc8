from __future__ import annotations

import pytest

from earmark.api.given_labels import MAX_CHARACTERS, given_labels
from earmark.checkpoints.checkpoint import Checkpoint
from earmark.errors import RequestError
from earmark.parameters.parameters import Parameters
from earmark.zeroshot.label_set import LabelSet

CLAP = Checkpoint("a/clap", "/models/clap", (), 48000, "clap", None, None, 480000, 1)
WORDS = Checkpoint("a/words", "/models/words", ("yes", "no"), 16000, "wav2vec2", None, None, None, 400)


def refusal(parameters: Parameters, checkpoint: Checkpoint = CLAP) -> str:
    with pytest.raises(RequestError) as caught:
        given_labels(checkpoint, parameters)
    assert caught.value.status == 400
    return str(caught.value)


def test_labels_come_as_a_list_or_between_commas() -> None:
    listed = LabelSet(("a dog", "rain, heavy"))
    assert given_labels(CLAP, Parameters(candidate_labels=("a dog", "rain, heavy"))) == listed
    between = Parameters(candidate_labels=" a dog ,rain,, ", hypothesis_template="{}", function_to_apply="softmax")
    assert given_labels(CLAP, between) == LabelSet(("a dog", "rain"), template="{}")
    assert given_labels(CLAP, Parameters(candidate_labels=("alone",))) == LabelSet(("alone",))  # it has the score 1


def test_a_model_with_labels_of_its_own_takes_no_others_and_ignores_a_template() -> None:
    assert given_labels(WORDS, Parameters(hypothesis_template="x")) is None
    sentence = "`candidate_labels`: a/words has labels of its own, and takes no others"
    assert refusal(Parameters(candidate_labels=("a",)), WORDS) == sentence


def test_a_model_without_labels_asks_for_them() -> None:
    assert refusal(Parameters()) == (
        "`candidate_labels` is missing: a/clap has no labels of its own, and takes them from `parameters` or from the"
        " query, as in ?candidate_labels=a+dog+barking,rain"
    )


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        (Parameters(candidate_labels=()), "Invalid value for `candidate_labels`: there are none"),
        (Parameters(candidate_labels=" , "), "Invalid value for `candidate_labels`: there are none"),
        (
            Parameters(candidate_labels=("a", "a")),
            'Invalid value for `candidate_labels`: "a" stands there 2 times',
        ),
        (
            Parameters(candidate_labels=("a",), hypothesis_template="b"),
            "Invalid value for `hypothesis_template`: 'b' must have {} once, where the label goes, and no other brace",
        ),
        (
            Parameters(candidate_labels="x" * (MAX_CHARACTERS + 1)),
            "Invalid value for `candidate_labels`: it has more than 26112 characters",
        ),
        (
            Parameters(candidate_labels=("a",), function_to_apply="sigmoid"),
            "Invalid value for `function_to_apply`: given labels share a score of 1, so it can only be softmax",
        ),
    ],
)
def test_what_is_wrong_is_told_by_its_parameter(parameters: Parameters, sentence: str) -> None:
    assert refusal(parameters) == sentence
