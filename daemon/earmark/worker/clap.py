"""CLAP: a network for sounds and one for texts whose vectors meet in one space, so that a text may be a label."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import normalize
from transformers import AutoTokenizer, ClapConfig, ClapModel
from transformers.modeling_outputs import SequenceClassifierOutput

from earmark.audio.types import Floats
from earmark.errors import ModelError
from earmark.worker import heads

SPECIAL_TOKENS = 2  # that a text has besides its own, and RoBERTa counts positions from the padding's number on


def network(path: Path) -> tuple[Towers, dict[str, Any]]:
    """Return the network of the checkpoint in folder `path` with its weights, and transformers' report on them."""
    given = heads.REPORTED | {
        "local_files_only": True,
        "config": ClapConfig.from_pretrained(path, local_files_only=True),
    }
    found, report = ClapModel.from_pretrained(path, **given)
    return Towers(found), report


class Towers(torch.nn.Module):
    """Both networks. As a module it is the one for sounds, whose `logits` are vectors of unit length."""

    def __init__(self, clap: Any) -> None:
        super().__init__()
        self.clap = clap
        self.scale = float(clap.logit_scale_a.detach().exp())  # in full precision, before the weights lose theirs

    def forward(self, **inputs: torch.Tensor) -> Any:
        pooled = self.clap.audio_model(**inputs).pooler_output
        return SequenceClassifierOutput(logits=normalize(self.clap.audio_projection(pooled).float(), dim=-1))

    def texts(self, **tokens: torch.Tensor) -> torch.Tensor:
        """Return vectors of unit length times the logit scale, so that their products with sounds are logits."""
        pooled = self.clap.text_model(**tokens).pooler_output
        return normalize(self.clap.text_projection(pooled).float(), dim=-1) * self.scale


class Reader:
    """Reads texts: its tokenizer and the network for them, on `device`."""

    def __init__(self, name: str, path: Path, towers: Towers, device: torch.device) -> None:
        self._name = name
        self._towers = towers
        self._device = device
        self._tokenizer = AutoTokenizer.from_pretrained(path, **heads.LOCAL)
        self._most = int(towers.clap.config.text_config.max_position_embeddings) - SPECIAL_TOKENS

    def vectors(self, texts: Sequence[str]) -> Floats:
        """Return the vectors of shape (texts, width), float32. Raises ModelError if a text is too long."""
        tokens = self._tokenizer(list(texts), return_tensors="pt", padding=True)
        if (length := tokens["input_ids"].shape[1]) > self._most:
            longest = texts[int(tokens["attention_mask"].sum(dim=1).argmax())]
            raise ModelError(f"{self._name}: {longest[:40]!r} has {length} tokens, and {self._most} are the most")
        taken = {name: tokens[name].to(self._device) for name in ("input_ids", "attention_mask")}
        with torch.inference_mode():
            found: Floats = self._towers.texts(**taken).cpu().numpy()
        return found
