"""Reading checkpoint folders."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from earmark.checkpoints.reader import ARCHITECTURES, embedded, read, require_classifier, takes_labels
from earmark.errors import ModelError
from tests.labelled import clap_folder

CONFIG: dict[str, Any] = {
    "model_type": "wav2vec2",
    "architectures": ["Wav2Vec2ForSequenceClassification"],
    "id2label": {"0": "no", "1": "yes"},
}
REVISION = "0123456789abcdef0123456789abcdef01234567"


def folder(path: Path, config: object = CONFIG, extractor: object = None, weights: str = "model.safetensors") -> Path:
    path.mkdir(parents=True, exist_ok=True)
    (path / "config.json").write_text(json.dumps(config))
    (path / "preprocessor_config.json").write_text(json.dumps({} if extractor is None else extractor))
    (path / weights).touch()
    return path


def refusal(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        read(path)
    text = str(caught.value)
    assert str(path) in text
    assert "\n" not in text
    return text


def test_a_checkpoint_is_read(tmp_path: Path) -> None:
    path = folder(tmp_path / "kws", CONFIG | {"problem_type": "multi_label_classification"}, {"sampling_rate": 8000})
    found = read(path, "my/kws")
    assert (found.name, found.path, found.labels, found.rate) == ("my/kws", str(path), ("no", "yes"), 8000)
    assert found.model_type == "wav2vec2"
    assert found.problem_type == "multi_label_classification"
    assert (found.window, found.limit, found.minimum) == (None, None, 400)


def test_a_checkpoint_without_a_name_is_called_as_its_folder(tmp_path: Path) -> None:
    assert read(folder(tmp_path / "kws")).name == "kws"


def test_labels_come_in_the_order_of_their_numbers_and_are_text(tmp_path: Path) -> None:
    labels = {str(number): number for number in reversed(range(11))}
    assert read(folder(tmp_path, CONFIG | {"id2label": labels})).labels == tuple(map(str, range(11)))


@pytest.mark.parametrize("chunk", [1, 30])
def test_whisper_works_on_its_chunk_and_nothing_else(tmp_path: Path, chunk: int) -> None:
    config = CONFIG | {"model_type": "whisper", "architectures": ["WhisperForAudioClassification"]}
    found = read(folder(tmp_path, config, {"chunk_length": chunk}))
    assert (found.window, found.limit, found.minimum) == (chunk * 16000, chunk * 16000, 1)


def test_ast_takes_any_length_up_to_its_frames(tmp_path: Path) -> None:
    config = CONFIG | {"model_type": "audio-spectrogram-transformer", "architectures": ["ASTForAudioClassification"]}
    found = read(folder(tmp_path, config, {"max_length": 1024, "sampling_rate": 16000}))
    assert (found.window, found.limit, found.minimum) == (None, 163_840, 400)


@pytest.mark.parametrize(("kernels", "strides", "samples"), [([4], [2], 4), ([3, 2], [2, 2], 5)])
def test_the_convolutions_decide_the_shortest_window(
    tmp_path: Path, kernels: list[int], strides: list[int], samples: int
) -> None:
    assert read(folder(tmp_path, CONFIG | {"conv_kernel": kernels, "conv_stride": strides})).minimum == samples


def test_sew_needs_as_many_frames_as_it_squeezes_into_one(tmp_path: Path) -> None:
    config = CONFIG | {"model_type": "sew", "architectures": ["SEWForSequenceClassification"]}
    assert read(folder(tmp_path, config)).minimum == 720


def test_wav2vec2_bert_needs_two_frames(tmp_path: Path) -> None:
    config = CONFIG | {"model_type": "wav2vec2-bert", "architectures": ["Wav2Vec2BertForSequenceClassification"]}
    assert read(folder(tmp_path, config)).minimum == 560


@pytest.mark.parametrize("model_type", ARCHITECTURES)
def test_every_architecture_of_the_task_is_taken(tmp_path: Path, model_type: str) -> None:
    config = CONFIG | {"model_type": model_type, "architectures": [ARCHITECTURES[model_type]]}
    assert read(folder(tmp_path, config)).model_type == model_type


@pytest.mark.parametrize("architectures", [["Wav2Vec2ForSpeechClassification"], ["EmotionModel"], [], None])
def test_unusual_class_names_are_left_to_the_weights(tmp_path: Path, architectures: object) -> None:
    assert read(folder(tmp_path, CONFIG | {"architectures": architectures})).model_type == "wav2vec2"


@pytest.mark.parametrize(
    "architecture",
    ["Wav2Vec2ForCTC", "Wav2Vec2Model", "Wav2Vec2ForAudioFrameClassification", "Wav2Vec2ForXVector", "OwnForCTC"],
)
def test_another_task_is_refused(tmp_path: Path, architecture: str) -> None:
    text = refusal(folder(tmp_path, CONFIG | {"architectures": [architecture]}))
    assert f"{architecture} is not an audio classifier" in text


@pytest.mark.parametrize("model_type", ["bert", None, 7])
def test_another_kind_of_model_is_refused(tmp_path: Path, model_type: object) -> None:
    assert "does not classify audio" in refusal(folder(tmp_path, CONFIG | {"model_type": model_type}))


def test_what_is_not_a_folder_is_refused(tmp_path: Path) -> None:
    assert "is not a folder" in refusal(tmp_path / "absent")


def test_a_folder_that_is_absent_is_told_with_the_command_that_fetches_a_model_of_the_hub(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="; `earmark pull acme/doorbells` fetches it if the Hugging Face Hub has it"):
        read(tmp_path / "absent", "acme/doorbells")
    (tmp_path / "file").touch()
    for path, name in ((tmp_path / "absent", "mine"), (tmp_path / "file", "acme/doorbells")):
        with pytest.raises(ModelError, match=r"model\.safetensors in it$"):
            read(path, name)


@pytest.mark.parametrize("file", ["config.json", "preprocessor_config.json", "model.safetensors"])
def test_a_missing_file_is_named(tmp_path: Path, file: str) -> None:
    path = folder(tmp_path)
    (path / file).unlink()
    assert f"holds no {file}" in refusal(path)


@pytest.mark.parametrize("content", [b"{", b"", b"[]", b"\xff\xfe"])
def test_invalid_json_is_refused(tmp_path: Path, content: bytes) -> None:
    path = folder(tmp_path)
    (path / "config.json").write_bytes(content)
    assert "config.json cannot be read" in refusal(path)


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    assert "convert them to model.safetensors" in refusal(folder(tmp_path, weights="pytorch_model.bin"))


def test_weights_in_several_files_are_taken(tmp_path: Path) -> None:
    assert read(folder(tmp_path, weights="model.safetensors.index.json")).labels == ("no", "yes")


@pytest.mark.parametrize("labels", [{}, {"1": "a"}, {"0": "a", "2": "b"}, {"a": "b"}, ["a"]])
def test_labels_that_are_missing_or_have_holes_are_refused(tmp_path: Path, labels: object) -> None:
    assert "names no labels" in refusal(folder(tmp_path, CONFIG | {"id2label": labels}))


@pytest.mark.parametrize(
    ("given", "labels"),
    [
        ({}, ("LABEL_0", "LABEL_1")),
        ({"num_labels": 3}, ("LABEL_0", "LABEL_1", "LABEL_2")),
        ({"id2label": None}, ("LABEL_0", "LABEL_1")),
    ],
)
def test_labels_without_names_are_numbered_as_transformers_does(
    tmp_path: Path, given: dict[str, object], labels: tuple[str, ...]
) -> None:
    config = {name: value for name, value in CONFIG.items() if name != "id2label"} | given
    assert read(folder(tmp_path, config)).labels == labels


@pytest.mark.parametrize(
    ("labels", "named", "kept"),
    [
        (["cough"], None, "multi_label_classification"),
        (["cough"], "regression", "regression"),
        (["no", "yes"], None, None),
    ],
)
def test_a_single_label_without_a_problem_type_has_a_probability_of_its_own(
    tmp_path: Path, labels: list[str], named: str | None, kept: str | None
) -> None:
    config = CONFIG | {"id2label": dict(enumerate(labels)), "problem_type": named}
    assert read(folder(tmp_path, config)).problem_type == kept


def test_the_extractor_may_be_in_the_processors_file_alone_and_goes_before_its_own(tmp_path: Path) -> None:
    path = folder(tmp_path, extractor={"sampling_rate": 8000})
    (path / "processor_config.json").write_text(json.dumps({"processor_class": "Wav2Vec2Processor"}))
    assert read(path).rate == 8000
    (path / "processor_config.json").write_text(json.dumps({"feature_extractor": {"sampling_rate": 22050}}))
    assert read(path).rate == 22050
    (path / "preprocessor_config.json").unlink()
    assert read(path).rate == 22050


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_json_does_not_have_are_read_as_transformers_writes_them(tmp_path: Path, number: str) -> None:
    path = folder(tmp_path)
    text = (path / "config.json").read_text()
    (path / "config.json").write_text(text.replace("{", f'{{"mask_value": {number}, ', 1))
    assert read(path).labels == ("no", "yes")


@pytest.mark.parametrize("rate", [16000, 16000.0])
def test_a_rate_may_be_written_with_a_point(tmp_path: Path, rate: float) -> None:
    found = read(folder(tmp_path, extractor={"sampling_rate": rate})).rate
    assert (found, type(found)) == (16000, int)


@pytest.mark.parametrize("rate", [0, "16k", None, 0.5, float("nan"), float("inf"), -8000.0])
def test_a_rate_that_is_none_is_refused(tmp_path: Path, rate: object) -> None:
    assert "not a rate in Hz" in refusal(folder(tmp_path, extractor={"sampling_rate": rate}))


@pytest.mark.parametrize("change", [{"conv_kernel": [1]}, {"conv_kernel": 3}, {"conv_stride": ["a"] * 7}])
def test_convolutions_that_make_no_sense_are_refused(tmp_path: Path, change: dict[str, object]) -> None:
    assert "make no sense" in refusal(folder(tmp_path, CONFIG | change))


def test_revision_and_licence_are_read_where_they_are(tmp_path: Path) -> None:
    path = folder(tmp_path / "snapshots" / REVISION)
    (path / "README.md").write_text("---\ntags: [audio]\nlicense: 'apache-2.0'\n---\n# Card\nlicense: no\n")
    assert (read(path).revision, read(path).licence) == (REVISION, "apache-2.0")
    pulled = folder(tmp_path / f"org--name@{REVISION}")
    (tmp_path / "org--name").symlink_to(pulled.name)
    assert {read(pulled).revision, read(tmp_path / "org--name").revision} == {REVISION}
    plain = folder(tmp_path / "plain")
    (plain / "README.md").write_text("# Card\nlicense: no\n")
    assert (read(plain).revision, read(plain).licence) == ("", "")


def test_whether_it_classifies_is_known_before_there_are_weights(tmp_path: Path) -> None:
    (folder(tmp_path) / "model.safetensors").unlink()
    require_classifier(tmp_path)
    folder(tmp_path, CONFIG | {"architectures": ["Wav2Vec2ForCTC"]})
    with pytest.raises(ModelError, match="is not an audio classifier"):
        require_classifier(tmp_path)


def test_embedded_checkpoints_are_found_by_name(tmp_path: Path) -> None:
    path = folder(tmp_path / "commands")
    (tmp_path / "not-one").mkdir()
    assert embedded(tmp_path) == {"earmark/commands": path}


def test_whatever_is_embedded_can_be_read() -> None:
    found = embedded()
    assert {"earmark/commands", "earmark/emotion", "earmark/sounds"} <= set(found)
    for name, path in found.items():
        assert re.fullmatch(r"earmark/[a-z0-9-]+", name)
        assert read(path, name).labels


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json"])
def test_a_pipe_in_place_of_a_file_is_refused_without_waiting_for_its_writer(tmp_path: Path, name: str) -> None:
    path = folder(tmp_path / "kws")
    (path / name).unlink()
    os.mkfifo(path / name)
    assert "it is no regular file" in refusal(path)


def test_a_pipe_in_place_of_the_model_card_is_no_licence(tmp_path: Path) -> None:
    os.mkfifo(folder(tmp_path / "kws") / "README.md")
    assert read(tmp_path / "kws").licence == ""


def test_a_model_that_takes_its_labels_at_run_time_has_none(tmp_path: Path) -> None:
    found = read(clap_folder(tmp_path / "clap"))
    assert (found.takes_labels, found.labels, found.remarks[1:]) == (True, (), ())
    assert (found.rate, found.window, found.limit, found.minimum) == (48_000, None, 480_000, 1)
    assert (found.scoring, found.function_told) == ("none", "softmax")
    assert found.told[0].startswith("answers with labels that it takes at run time, in words: ")
    assert takes_labels(tmp_path / "clap")


def test_its_tokenizer_is_one_file_or_two(tmp_path: Path) -> None:
    assert read(clap_folder(tmp_path / "two", None, "vocab.json", "merges.txt")).takes_labels
    text = refusal(clap_folder(tmp_path / "half", None, "vocab.json", "tokenizer_config.json"))
    assert text.endswith(
        "holds no tokenizer.json, and not both vocab.json and merges.txt; copy them from the checkpoint"
    )


def test_half_of_such_a_model_is_refused(tmp_path: Path) -> None:
    text = refusal(clap_folder(tmp_path / "half", {"architectures": ["ClapAudioModelWithProjection"]}))
    assert text.endswith("ClapAudioModelWithProjection is no ClapModel, which reads labels as well as sound")


def test_the_settings_of_such_a_model_name_no_labels_and_no_function(tmp_path: Path) -> None:
    found = read(clap_folder(tmp_path), "a/clap")
    for setting, labels, function in (("labels", ("a",), None), ("function", (), "sigmoid")):
        with pytest.raises(ModelError, match=rf"^model\[2\]\.{setting}: a/clap takes its labels at run time"):
            found.named(labels, function, "model[2]")  # type: ignore[arg-type]  # from a table of cases
    assert found.named((), None, "model[2]") == found
