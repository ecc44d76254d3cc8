"""Networks of transformers with the heads of checkpoints/head_layouts.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING, AutoConfig, AutoModelForAudioClassification
from transformers.modeling_outputs import SequenceClassifierOutput

from earmark.checkpoints.head_layouts import Head, head
from earmark.checkpoints.weights import weight_names
from earmark.errors import ModelError

LOCAL = {"local_files_only": True, "trust_remote_code": False}
REPORTED: dict[str, Any] = {
    "use_safetensors": True,
    "dtype": torch.float32,
    "ignore_mismatched_sizes": True,  # so that the report names them; the caller refuses them
    "output_loading_info": True,
}
# The stock head maps each frame and then takes the mean. For affine maps the order makes no difference
AFFINE = {r"^classifier\.dense\.": "projector.", r"^classifier\.output\.": "classifier."}
POOLS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {  # m3hrdadfi/soxan, src/models.py: pooling_mode
    "mean": lambda frames: frames.mean(dim=1),
    "sum": lambda frames: frames.sum(dim=1),
    "max": lambda frames: frames.amax(dim=1),
}


def network(name: str, path: Path) -> tuple[Any, dict[str, Any]]:
    """Return the network of the checkpoint in folder `path` with its weights, and transformers' report on them."""
    config = AutoConfig.from_pretrained(path, **LOCAL)
    kind: Head = head(config.model_type, weight_names(name, path))
    given = REPORTED | LOCAL | {"config": config}
    filled: tuple[Any, dict[str, Any]]
    match kind:
        case "affine":
            config.classifier_proj_size = config.hidden_size
            filled = AutoModelForAudioClassification.from_pretrained(path, key_mapping=AFFINE, **given)
        case "tanh":
            pooling = getattr(config, "pooling_mode", "mean")
            if pooling not in POOLS:
                raise ModelError(f"{name}: pooling_mode in config.json is {pooling!r}, none of {', '.join(POOLS)}")
            stock = MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING[type(config)]
            given.pop("trust_remote_code")  # only the Auto classes take it
            filled = _with_tanh(stock, POOLS[pooling]).from_pretrained(path, **given)
        case "stock":
            filled = AutoModelForAudioClassification.from_pretrained(path, **given)
    return filled


class TanhHead(torch.nn.Module):
    """A dense layer, tanh, and a projection to the labels."""

    def __init__(self, width: int, labels: int) -> None:
        super().__init__()
        self.dense = torch.nn.Linear(width, width)
        self.out_proj = torch.nn.Linear(width, labels)

    def forward(self, pooled: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.out_proj(torch.tanh(self.dense(pooled)))
        return logits


def _with_tanh(stock: type[Any], pool: Callable[[torch.Tensor], torch.Tensor]) -> type[Any]:
    """Return a class like the stock one, with a TanhHead on the pooled frames instead of its own head.

    It is a subclass, so that transformers renames old weights as it does for the stock class.
    """

    class WithTanh(stock):  # type: ignore[misc]  # transformers is untyped to mypy
        def __init__(self, config: Any) -> None:
            super().__init__(config)
            del self.projector
            self.classifier = TanhHead(config.hidden_size, config.num_labels)

        def forward(self, **inputs: torch.Tensor) -> Any:
            # Over all frames, as these models were trained; windows of equal length have no frames of padding
            frames = self.base_model(**inputs)[0]
            return SequenceClassifierOutput(logits=self.classifier(pool(frames)))

    return WithTanh
