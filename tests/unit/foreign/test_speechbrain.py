"""What the files of SpeechBrain's checkpoints say, and what they may not say."""

from __future__ import annotations

import re

import pytest

from earmark.errors import ModelError
from earmark.foreign.speechbrain import FILES, config, is_one, labels, renamed, require_known
from tests.checkpoints import HYPERPARAMS

LABELS = "'neu' => 0\n'ang' => 1\n================\n'starting_index' => 0\n"


def test_the_four_files_without_weights_of_transformers_are_a_checkpoint_of_speechbrain() -> None:
    assert is_one([*FILES, "README.md", "config.json"])
    assert not is_one(FILES[1:])
    assert not is_one([*FILES, "model.safetensors"])


def test_labels_stand_in_the_order_of_their_numbers() -> None:
    assert labels(LABELS) == ("neu", "ang")
    assert labels(LABELS.replace("0\n'", "2\n'", 1).replace("1", "0").replace("2", "1")) == ("ang", "neu")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("'neu' => 0\n", "it does not end with"),
        (LABELS + "'unk_label' => 'x'\n", "it does not end with"),
        (LABELS.replace("'starting_index' => 0", "'starting_index' => 1"), "it does not end with"),
        (LABELS.replace("'neu'", '"neu"'), re.escape("'\"neu\" => 0' is no line like 'LABEL' => 0")),
        (LABELS.replace("'neu'", "__import__('os')"), "is no line like"),
        (LABELS.replace("=> 1", "=> 2"), "one label for each of 0, 1, 2"),
        (LABELS.replace("=> 1", "=> 0"), "one label for each of 0, 1, 2"),
        (LABELS.replace("ang", "neu"), "none of them twice"),
        (LABELS.replace("'neu' => 0\n'ang' => 1\n", ""), "one label for each of 0, 1, 2"),
    ],
)
def test_labels_that_are_written_otherwise_are_refused(text: str, sentence: str) -> None:
    with pytest.raises(ModelError, match=rf"^label_encoder\.txt: .*{sentence}"):
        labels(text)


def test_the_known_network_is_known_by_the_lines_that_matter() -> None:
    require_known(HYPERPARAMS)
    require_known(HYPERPARAMS.replace("output_norm: True", "output_norm: True  # as in training"))
    require_known(
        HYPERPARAMS.replace("huggingface_transformers.wav2vec2.Wav2Vec2", "huggingface_wav2vec.HuggingFaceWav2Vec2")
    )


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("output_norm: True", "output_norm: False", "wav2vec2.output_norm should be True, and it says 'False'"),
        ("    output_norm: True\n", "", "wav2vec2.output_norm should be True, and it does not say so"),
        ("bias: False", "bias: True", "output_mlp.bias should be False, and it says 'True'"),
        ("facebook/wav2vec2-base", "facebook/wav2vec2-large", "wav2vec2_hub should be facebook/wav2vec2-base"),
        ("pooling.StatisticsPooling", "pooling.AttentivePooling", "avg_pool should be"),
        ("!new:speechbrain.nnet.linear.Linear", "!apply:os.system ['true']", "output_mlp should be"),
    ],
)
def test_another_network_is_refused_with_the_line_that_differs(before: str, after: str, sentence: str) -> None:
    assert before in HYPERPARAMS
    with pytest.raises(ModelError, match=rf"^hyperparams\.yaml: a network that is unknown here; {re.escape(sentence)}"):
        require_known(HYPERPARAMS.replace(before, after))


def test_weights_get_the_names_of_transformers_whatever_stood_before_them() -> None:
    for name in ("model.encoder.layer_norm.bias", "model.wav2vec2.encoder.layer_norm.bias", "encoder.layer_norm.bias"):
        assert renamed(name) == "wav2vec2.encoder.layer_norm.bias"


def shapes(*, positions: str = "weight_v") -> dict[str, tuple[int, ...]]:
    """The shapes of a wav2vec2-base, where they tell something."""
    layers = "wav2vec2.feature_extractor.conv_layers"
    kernels = (10, 3, 3, 3, 3, 2, 2)
    found: dict[str, tuple[int, ...]] = {f"{layers}.{n}.conv.weight": (512, 512, k) for n, k in enumerate(kernels)}
    for layer in range(12):
        found[f"wav2vec2.encoder.layers.{layer}.feed_forward.intermediate_dense.weight"] = (3072, 768)
    found[f"wav2vec2.encoder.pos_conv_embed.conv.{positions}"] = (768, 48, 128)
    return found | {"wav2vec2.encoder.layer_norm.weight": (768,)}


@pytest.mark.parametrize("positions", ["weight_v", "parametrizations.weight.original1"])
def test_the_shapes_of_wav2vec2_base_tell_its_configuration(positions: str) -> None:
    found = config(shapes(positions=positions), ("neu", "ang"))
    sizes = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
    assert [found[size] for size in sizes] == [768, 12, 12, 3072]
    assert (found["num_conv_pos_embeddings"], found["num_conv_pos_embedding_groups"]) == (128, 16)
    assert (found["conv_dim"], found["conv_kernel"]) == ([512] * 7, [10, 3, 3, 3, 3, 2, 2])
    assert (found["id2label"], found["label2id"]) == ({"0": "neu", "1": "ang"}, {"neu": 0, "ang": 1})


def test_weights_of_another_network_are_refused() -> None:
    with pytest.raises(ModelError, match=r"^wav2vec2\.ckpt: it is no wav2vec2-base \('wav2vec2\.encoder\.layer_norm"):
        config({name: shape for name, shape in shapes().items() if "layer_norm" not in name}, ("neu",))
    normed: dict[str, tuple[int, ...]] = {"wav2vec2.feature_extractor.conv_layers.1.layer_norm.weight": (512,)}
    with pytest.raises(ModelError, match="normed one by one"):
        config(shapes() | normed, ("neu",))
    with pytest.raises(ModelError, match="no wav2vec2-base"):
        config(shapes() | {"wav2vec2.encoder.layer_norm.weight": (768, 1)}, ("neu",))
