"""SpeechBrain's classifiers on wav2vec2-base, such as speechbrain/emotion-recognition-wav2vec2-IEMOCAP.

Such a checkpoint has four files: hyperparams.yaml, which builds the network (with code, so it is never loaded as YAML;
its lines are compared with those of the one network that is known here), wav2vec2.ckpt and model.ckpt with the weights
of the network and of the last layer, and label_encoder.txt. The network: wav2vec2-base, its frames normed over time and
width together (`output_norm`), their mean, one linear map without bias, softmax. SpeechBrain adds noise of 1e-5 to the
mean, and that is left out.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from earmark.errors import ModelError

SETTINGS, ENCODER, HEAD, LABELS = "hyperparams.yaml", "wav2vec2.ckpt", "model.ckpt", "label_encoder.txt"
FILES = (SETTINGS, ENCODER, HEAD, LABELS)
MAX_BYTES = 1_000_000  # of a file of text

KNOWN: Mapping[str, tuple[str, ...]] = {
    "wav2vec2_hub": ("facebook/wav2vec2-base",),
    "wav2vec2": (
        "!new:speechbrain.lobes.models.huggingface_wav2vec.HuggingFaceWav2Vec2",
        "!new:speechbrain.lobes.models.huggingface_transformers.wav2vec2.Wav2Vec2",
    ),
    "wav2vec2.output_norm": ("True",),
    "avg_pool": ("!new:speechbrain.nnet.pooling.StatisticsPooling",),
    "avg_pool.return_std": ("False",),
    "output_mlp": ("!new:speechbrain.nnet.linear.Linear",),
    "output_mlp.bias": ("False",),
    "softmax": ("!new:speechbrain.nnet.activations.Softmax",),
}
"""What hyperparams.yaml must say, by its keys; those of a table have its name before them."""

LINE = re.compile(r"(?P<space> *)(?P<key>\w+):(?: +(?P<value>[^#]*?))? *(?:#.*)?")
LABEL = re.compile(r"'(?P<label>[^'\\]+)' => (?P<index>[0-9]{1,5})")
RULE = "================"
FIRST = "'starting_index' => 0"

OUTPUT = "0.w.weight"  # the one weight in model.ckpt: of the first module in a list, SpeechBrain's Linear
HEAD_DIM = 64  # of wav2vec2-base: 768 in 12 heads of attention
CONVOLUTIONS = 7  # layers, whose strides the weights do not tell
EXTRACTOR = {  # the network norms the samples itself, as SpeechBrain does it
    "feature_extractor_type": "Wav2Vec2FeatureExtractor",
    "sampling_rate": 16_000,
    "feature_size": 1,
    "padding_value": 0.0,
    "padding_side": "right",
    "do_normalize": False,
    "return_attention_mask": False,
}


def is_one(files: Collection[str]) -> bool:
    """Return whether a repository with these files holds such a checkpoint."""
    return {*FILES} <= {*files} and not {"model.safetensors", "pytorch_model.bin"} & {*files}


def require_known(settings: str) -> None:
    """Raise ModelError if hyperparams.yaml builds another network than the one that is known."""
    told = _told(settings)
    for key, values in KNOWN.items():
        if told.get(key) not in values:
            found = f"says {told[key]!r}" if key in told else "does not say so"
            raise ModelError(
                f"{SETTINGS}: a network that is unknown here; {key} should be {' or '.join(values)}, and it {found}"
            )


def labels(text: str) -> tuple[str, ...]:
    """Return the labels in label_encoder.txt in their order. Raises ModelError unless every line is as it should be."""
    lines = text.splitlines()
    if RULE not in lines or lines[lines.index(RULE) + 1 :] != [FIRST]:
        raise ModelError(f"{LABELS}: it does not end with {RULE} and {FIRST}")
    named: dict[int, str] = {}
    for line in lines[: lines.index(RULE)]:
        if not (found := LABEL.fullmatch(line)):
            raise ModelError(f"{LABELS}: {line[:80]!r} is no line like 'LABEL' => 0")
        named[int(found["index"])] = found["label"]
    if not named or sorted(named) != list(range(lines.index(RULE))) or len({*named.values()}) < len(named):
        raise ModelError(f"{LABELS}: it should name one label for each of 0, 1, 2, ..., none of them twice")
    return tuple(named[index] for index in range(len(named)))


def renamed(name: str) -> str:
    """Return what transformers calls a weight of wav2vec2.ckpt."""
    return "wav2vec2." + name.removeprefix("model.").removeprefix("wav2vec2.")


def config(shapes: Mapping[str, Sequence[int]], names: Sequence[str]) -> dict[str, Any]:
    """Return config.json for the weights of the encoder, under their new names, and these labels.

    Raises ModelError if they are not those of a wav2vec2-base, of any width and depth.
    """
    try:
        convolutions = [shapes[f"wav2vec2.feature_extractor.conv_layers.{n}.conv.weight"] for n in range(CONVOLUTIONS)]
        if "wav2vec2.feature_extractor.conv_layers.1.layer_norm.weight" in shapes:
            raise ModelError(f"{ENCODER}: it is no wav2vec2-base, because its convolutions are normed one by one")
        layers = {name.split(".")[3] for name in shapes if name.startswith("wav2vec2.encoder.layers.")}
        (width,) = shapes["wav2vec2.encoder.layer_norm.weight"]
        inner = shapes["wav2vec2.encoder.layers.0.feed_forward.intermediate_dense.weight"][0]
        place = "wav2vec2.encoder.pos_conv_embed.conv."
        old, new = f"{place}weight_v", f"{place}parametrizations.weight.original1"
        _, part, positions = shapes[old if old in shapes else new]
    except (KeyError, ValueError) as error:
        raise ModelError(f"{ENCODER}: it is no wav2vec2-base ({error})") from None
    return {
        "model_type": "wav2vec2",
        "architectures": ["Wav2Vec2ForSequenceClassification"],
        "hidden_size": width,
        "num_hidden_layers": len(layers),
        "num_attention_heads": max(1, width // HEAD_DIM),
        "intermediate_size": inner,
        "conv_dim": [shape[0] for shape in convolutions],
        "conv_kernel": [shape[2] for shape in convolutions],
        "num_feat_extract_layers": CONVOLUTIONS,
        "feat_extract_norm": "group",
        "do_stable_layer_norm": False,
        "num_conv_pos_embeddings": positions,
        "num_conv_pos_embedding_groups": width // part,
        "id2label": {str(index): name for index, name in enumerate(names)},
        "label2id": {name: index for index, name in enumerate(names)},
    }


def _told(settings: str) -> dict[str, str]:
    """Return the lines `key: value`, each with the key of its table before it. Other lines say nothing here."""
    told: dict[str, str] = {}
    table = ""
    for line in settings.splitlines():
        if not (found := LINE.fullmatch(line)):
            continue
        if not found["space"]:
            table = found["key"]
        key = f"{table}.{found['key']}" if found["space"] else table
        told[key] = (found["value"] or "").strip()
    return told
