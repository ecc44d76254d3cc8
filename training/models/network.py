"""The architecture of the three models: Whisper's encoder with transformers' own classification head."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperForAudioClassification

from training.models.base import Encoder

LICENSE = Path(__file__).with_name("LICENSE-whisper")
PROJECTED = 256
"""Numbers of a window between the encoder and the classifier."""


def build(labels: Sequence[str], encoder: Encoder, frames: int, layers: bool = False) -> WhisperForAudioClassification:
    """Return a network that starts from the encoder, with a new head, for windows of so many frames of 10 ms.

    With `layers` the head takes a learnt mean of the states of all layers, else those of the last. The classifier has
    no decoder, so the config makes it as small as possible. Attention is `eager` while training, because the backward
    pass of PyTorch's fused attention for CPUs is slow in bfloat16; the choice is not saved.
    """
    config = WhisperConfig(
        num_mel_bins=encoder.mels,
        max_source_positions=frames // 2,
        d_model=encoder.width,
        encoder_layers=encoder.layers,
        encoder_attention_heads=encoder.heads,
        encoder_ffn_dim=encoder.inner,
        decoder_layers=1,
        decoder_attention_heads=1,
        decoder_ffn_dim=1,
        vocab_size=1,
        pad_token_id=0,
        bos_token_id=0,
        eos_token_id=0,
        decoder_start_token_id=0,
        dropout=0.0,
        max_target_positions=1,
        begin_suppress_tokens=None,
        classifier_proj_size=PROJECTED,
        use_weighted_layer_sum=layers,
        id2label=dict(enumerate(labels)),
        label2id={label: number for number, label in enumerate(labels)},
        problem_type="single_label_classification",
        attn_implementation="eager",
    )
    network = WhisperForAudioClassification(config)
    network.encoder.load_state_dict(encoder.first(frames // 2))
    return network


def save(model: WhisperForAudioClassification, extractor: WhisperFeatureExtractor, folder: Path) -> None:
    """Write a folder that AutoModelForAudioClassification and AutoFeatureExtractor load as it is.

    The weights have 16 bits, and every reader turns them into 32 bits again. The scores are the same to within 0.01.
    """
    model.config.architectures = [type(model).__name__]
    model.config._name_or_path = ""  # would tell where it was trained
    model.half().save_pretrained(folder)
    extractor.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    shutil.copy(LICENSE, folder)
    (folder / "config.json").write_text(json.dumps(config | {"dtype": "float32"}, indent=2) + "\n")
    for path in folder.iterdir():
        path.chmod(0o644)  # safetensors writes for the owner only, and this is shipped
    model.to(torch.float32)
