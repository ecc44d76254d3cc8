"""The architecture of the command model: a small Whisper encoder with a classification head, from stock classes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperForAudioClassification


def build(labels: Sequence[str], mels: int = 80, frames: int = 100) -> WhisperForAudioClassification:
    """Return an untrained network of 1.7 M parameters.

    The classifier has no decoder, so the config makes it as small as possible. Attention is `eager` while training,
    because the backward pass of PyTorch's fused attention for CPUs is slow in bfloat16 (half of every step); the choice
    is not saved. There is no dropout, because its random numbers took a third of the remaining time; skipping a layer
    now and then saves time instead.
    """
    config = WhisperConfig(
        num_mel_bins=mels,
        max_source_positions=frames // 2,
        d_model=192,
        encoder_layers=4,
        encoder_attention_heads=4,
        encoder_ffn_dim=576,
        decoder_layers=1,
        decoder_attention_heads=1,
        decoder_ffn_dim=1,
        vocab_size=1,
        pad_token_id=0,
        bos_token_id=0,
        eos_token_id=0,
        decoder_start_token_id=0,
        dropout=0.0,
        encoder_layerdrop=0.05,
        max_target_positions=1,
        begin_suppress_tokens=None,
        classifier_proj_size=192,
        id2label=dict(enumerate(labels)),
        label2id={label: number for number, label in enumerate(labels)},
        problem_type="single_label_classification",
        attn_implementation="eager",
    )
    return WhisperForAudioClassification(config)


def save(model: WhisperForAudioClassification, extractor: WhisperFeatureExtractor, folder: Path) -> None:
    """Write a folder that AutoModelForAudioClassification and AutoFeatureExtractor load as it is."""
    model.config.architectures = [type(model).__name__]
    model.config._name_or_path = ""  # would tell where it was trained
    model.save_pretrained(folder)
    extractor.save_pretrained(folder)
    for path in folder.iterdir():
        path.chmod(0o644)  # safetensors writes for the owner only, and this is shipped
