"""Tiny random checkpoints, one for each architecture that transformers maps for audio classification.

`MAKERS` names them. Each is a network of a few thousand weights with its feature extractor, saved as any checkpoint is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import transformers as tf
from safetensors.numpy import load_file, save_file
from transformers.convert_slow_tokenizer import bytes_to_unicode

Weights = dict[str, npt.NDArray[np.float32]]

LABELS = ("down", "go", "left", "no", "off")
RATE = 16000

WIDTH = 32
SMALL = {"hidden_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
CONVOLUTIONS = {"conv_dim": (16,) * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2}
HEAD = {"classifier_proj_size": 16}
NAMED = {
    "id2label": dict(enumerate(LABELS)),
    "label2id": {label: number for number, label in enumerate(LABELS)},
}


def waves(network: type[Any], config: type[Any], **fields: Any) -> tuple[Any, Any]:
    """The wav2vec2 family: convolutions over the samples themselves."""
    settings = SMALL | CONVOLUTIONS | HEAD | NAMED | fields
    return network(config(**settings)), tf.Wav2Vec2FeatureExtractor(return_attention_mask=False)


def layer_norm(network: type[Any], config: type[Any]) -> tuple[Any, Any]:
    """The large models of the family, which take an attention mask."""
    model, _ = waves(network, config, feat_extract_norm="layer", do_stable_layer_norm=True)
    return model, tf.Wav2Vec2FeatureExtractor(return_attention_mask=True)


def squeezed(network: type[Any], config: type[Any]) -> tuple[Any, Any]:
    return waves(network, config, conv_dim=(16,) * 13, squeeze_factor=2)


def spectrogram_transformer() -> tuple[Any, Any]:
    config = tf.ASTConfig(**SMALL, **NAMED, max_length=128, num_mel_bins=64)
    return tf.ASTForAudioClassification(config), tf.ASTFeatureExtractor(max_length=128, num_mel_bins=64)


def wav2vec2_bert() -> tuple[Any, Any]:
    config = tf.Wav2Vec2BertConfig(**SMALL, **HEAD, **NAMED, feature_projection_input_dim=160)
    return tf.Wav2Vec2BertForSequenceClassification(config), tf.SeamlessM4TFeatureExtractor()


def whisper(width: int = 32, layers: int = 2) -> tuple[Any, Any]:
    """One second, as the embedded checkpoints have it."""
    config = tf.WhisperConfig(
        num_mel_bins=80,
        max_source_positions=50,
        d_model=width,
        encoder_layers=layers,
        encoder_attention_heads=4,
        encoder_ffn_dim=3 * width,
        decoder_layers=1,
        decoder_attention_heads=1,
        decoder_ffn_dim=1,
        vocab_size=1,
        pad_token_id=0,
        bos_token_id=0,
        eos_token_id=0,
        decoder_start_token_id=0,
        classifier_proj_size=width,
        **NAMED,
    )
    return tf.WhisperForAudioClassification(config), tf.WhisperFeatureExtractor(feature_size=80, chunk_length=1)


MAKERS: dict[str, Callable[[], tuple[Any, Any]]] = {
    "ast": spectrogram_transformer,
    "data2vec": lambda: waves(tf.Data2VecAudioForSequenceClassification, tf.Data2VecAudioConfig),
    "hubert": lambda: waves(tf.HubertForSequenceClassification, tf.HubertConfig),
    "sew": lambda: squeezed(tf.SEWForSequenceClassification, tf.SEWConfig),
    "sew-d": lambda: squeezed(tf.SEWDForSequenceClassification, tf.SEWDConfig),
    "unispeech": lambda: waves(tf.UniSpeechForSequenceClassification, tf.UniSpeechConfig),
    "unispeech-sat": lambda: waves(tf.UniSpeechSatForSequenceClassification, tf.UniSpeechSatConfig),
    "wav2vec2": lambda: waves(tf.Wav2Vec2ForSequenceClassification, tf.Wav2Vec2Config),
    "wav2vec2-layer": lambda: layer_norm(tf.Wav2Vec2ForSequenceClassification, tf.Wav2Vec2Config),
    "wav2vec2-bert": wav2vec2_bert,
    "wav2vec2-conformer": lambda: waves(tf.Wav2Vec2ConformerForSequenceClassification, tf.Wav2Vec2ConformerConfig),
    "wavlm": lambda: waves(tf.WavLMForSequenceClassification, tf.WavLMConfig),
    "whisper": whisper,
}


def save(folder: Path, kind: str = "whisper", **fields: Any) -> Path:
    """A random checkpoint of `kind` in `folder`; the same weights each time, and large enough to tell clips apart."""
    torch.manual_seed(0)
    network, extractor = MAKERS[kind](**fields)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if weight.dim() > 1:  # fresh weights are so small that every clip sounds the same
                weight.mul_(20 if name.startswith("classifier") else 4)
    network.save_pretrained(folder)
    extractor.save_pretrained(folder)
    return folder


def save_with_head(folder: Path, output: str, kind: str = "wav2vec2-layer", **config: Any) -> Weights:
    """A random checkpoint of `kind` whose head is `classifier.dense` and `classifier.OUTPUT`, as authors other than
    transformers' name them; `config` goes into config.json as it is. Returns the head's weights.
    """
    rows = {"classifier.dense": (WIDTH, WIDTH), f"classifier.{output}": (len(LABELS), WIDTH)}
    return save_with_layers(folder, rows, kind, **config)


def save_with_age_and_gender(folder: Path, kind: str = "wav2vec2-layer", **config: Any) -> Weights:
    """A random checkpoint like audeering's of age and gender; its config.json names the genders alone."""
    rows = {"age.dense": (WIDTH, WIDTH), "age.out_proj": (1, WIDTH)}
    rows |= {"gender.dense": (WIDTH, WIDTH), "gender.out_proj": (3, WIDTH)}
    genders = {"id2label": {"0": "female", "1": "male", "2": "child"}, "architectures": ["AgeGenderModel"]}
    return save_with_layers(folder, rows, kind, **(genders | config))


def save_with_attention(folder: Path, kind: str = "wav2vec2", **config: Any) -> Weights:
    """A random checkpoint like smart-turn-v2, whose config.json names no labels."""
    rows: dict[str, tuple[int, ...]] = {"pool_attention.0": (256, WIDTH), "pool_attention.2": (1, 256)}
    rows |= {"classifier.0": (256, WIDTH), "classifier.1": (256,), "classifier.4": (64, 256), "classifier.6": (1, 64)}
    return save_with_layers(folder, rows, kind, **({"architectures": ["Wav2Vec2ForEndpointing"]} | config))


def save_speechbrain(folder: Path, labels: tuple[str, ...] = ("neu", "ang", "hap", "sad")) -> tuple[Any, Any]:
    """A random checkpoint as SpeechBrain keeps one. Returns its network and the weight of its last layer."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    settings = SMALL | CONVOLUTIONS | {"num_attention_heads": 1}  # the number that its converter takes for this width
    network = tf.Wav2Vec2Model(tf.Wav2Vec2Config(**settings)).eval()
    output = torch.randn(len(labels), WIDTH)
    with torch.no_grad():
        for weight in network.parameters():
            if weight.dim() > 1:
                weight.mul_(4)
    torch.save({f"model.{name}": weight for name, weight in network.state_dict().items()}, folder / "wav2vec2.ckpt")
    torch.save({"0.w.weight": output}, folder / "model.ckpt")
    lines = [f"'{label}' => {index}" for index, label in enumerate(labels)]
    (folder / "label_encoder.txt").write_text("\n".join([*lines, "=" * 16, "'starting_index' => 0"]) + "\n")
    (folder / "hyperparams.yaml").write_text(HYPERPARAMS)
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n# Moods\n")
    return network, output.numpy()


HYPERPARAMS = """\
# Model: WAV2VEC base for Emotion Recognition
HPARAMS_NEEDED: ["encoder_dim", "out_n_neurons", "label_encoder", "softmax"]
wav2vec2_hub: facebook/wav2vec2-base
encoder_dim: 768
out_n_neurons: 4

wav2vec2: !new:speechbrain.lobes.models.huggingface_transformers.wav2vec2.Wav2Vec2
    source: !ref <wav2vec2_hub>
    output_norm: True
    freeze: True
    save_path: wav2vec2_checkpoints

avg_pool: !new:speechbrain.nnet.pooling.StatisticsPooling
    return_std: False

output_mlp: !new:speechbrain.nnet.linear.Linear
    input_size: !ref <encoder_dim>
    n_neurons: !ref <out_n_neurons>
    bias: False

model: !new:torch.nn.ModuleList
    - [!ref <output_mlp>]

softmax: !new:speechbrain.nnet.activations.Softmax
label_encoder: !new:speechbrain.dataio.encoder.CategoricalEncoder
"""


def save_with_layers(folder: Path, shapes: Mapping[str, tuple[int, ...]], kind: str, **config: Any) -> Weights:
    """A random checkpoint of `kind` whose head is these layers; `config` goes into config.json as it is.

    Returns the head's weights.
    """
    save(folder, kind)
    stock = load_file(folder / "model.safetensors")
    random = np.random.default_rng(2)
    head: Weights = {}
    for layer, shape in shapes.items():
        head[f"{layer}.weight"] = random.normal(0, WIDTH**-0.5, shape).astype(np.float32)
        head[f"{layer}.bias"] = random.normal(0, WIDTH**-0.5, shape[:1]).astype(np.float32)
    body = {name: weight for name, weight in stock.items() if not name.startswith(("classifier", "projector"))}
    write_weights(folder, body | head)
    edit_config(folder, config)
    return head


def write_weights(folder: Path, weights: Weights, files: int = 1) -> None:
    """Replace the weights of a checkpoint, in one safetensors file or in several with an index."""
    if files == 1:
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        return
    (folder / "model.safetensors").unlink()
    placed = {name: f"model-{number % files + 1:05}-of-{files:05}.safetensors" for number, name in enumerate(weights)}
    for file in set(placed.values()):
        part = {name: weight for name, weight in weights.items() if placed[name] == file}
        save_file(part, folder / file, metadata={"format": "pt"})
    index = {"metadata": {"total_size": sum(weight.nbytes for weight in weights.values())}, "weight_map": placed}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def edit_config(folder: Path, fields: Mapping[str, Any]) -> None:
    """Change fields of config.json."""
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | dict(fields)))


def save_clap(folder: Path, *, fused: bool = False, seconds: int = 10, positions: int = 130) -> Path:
    """A random checkpoint of CLAP, by itself with the input of the true ones (10 s), and a tokenizer of single bytes.

    Its labels differ enough for a softmax to tell them apart, and so do its sounds. A text has `positions` - 4 bytes at
    most.
    """
    torch.manual_seed(0)
    specials = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
    vocabulary = {token: number for number, token in enumerate((*specials, *sorted(bytes_to_unicode().values())))}
    tf.RobertaTokenizer(vocab=vocabulary, merges=[]).save_pretrained(folder)
    audio = tf.ClapAudioConfig(
        patch_embeds_hidden_size=8,
        depths=[1, 1],
        num_attention_heads=[2, 2],
        hidden_size=16,
        num_hidden_layers=2,
        spec_size=256 if seconds > 2 else 128,  # a fourth of the work
        enable_fusion=fused,
        fusion_type="aff_2d" if fused else None,
    )
    text = tf.ClapTextConfig(**SMALL, vocab_size=len(vocabulary), max_position_embeddings=positions)
    network = tf.ClapModel(tf.ClapConfig(text_config=text, audio_config=audio, projection_dim=24)).eval()
    with torch.no_grad():
        for weight in network.parameters():
            if weight.dim() > 1:  # fresh weights are so small that every text and every sound is the same
                weight.mul_(12)
    network.save_pretrained(folder)
    tf.ClapFeatureExtractor(
        max_length_s=seconds,
        truncation="fusion" if fused else "rand_trunc",
        frequency_min=0 if fused else 50,
    ).save_pretrained(folder)
    return folder
