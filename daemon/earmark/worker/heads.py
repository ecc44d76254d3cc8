"""Networks of transformers with the heads of checkpoints/head_layouts.py."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING, AutoConfig, AutoModelForAudioClassification
from transformers.modeling_outputs import SequenceClassifierOutput

from earmark.checkpoints.head_layouts import LAYOUTS, PADDED_SECONDS, Head, head
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

RATE = 16_000  # Hz, of all models with padding
NEVER_HEARD = -1e9  # added to the attention of frames of padding
LAYER_NORM_EPSILON = 1e-5  # torch's default


def network(name: str, path: Path) -> tuple[Any, dict[str, Any]]:
    """Return the network of the checkpoint in folder `path` with its weights, and transformers' report on them."""
    config = AutoConfig.from_pretrained(path, **LOCAL)
    kind, given = head(config.model_type, weight_names(name, path)), REPORTED | LOCAL | {"config": config}
    maker: Any = AutoModelForAudioClassification
    if kind in OWN_HEADS:
        maker = _with_head(MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING[type(config)], partial(OWN_HEADS[kind], name))
        given.pop("trust_remote_code")  # only the Auto classes take it
    elif kind == "affine":
        config.classifier_proj_size = config.hidden_size
        given["key_mapping"] = AFFINE
    filled: tuple[Any, dict[str, Any]] = maker.from_pretrained(path, **given)
    return filled


class OwnHead:
    """A head of an author's own, for a network of transformers' `config`.

    `layers` has its modules by the names that they have in the checkpoint.
    """

    layers: dict[str, torch.nn.Module]

    def logits(self, network: Callable[..., torch.Tensor], samples: torch.Tensor) -> torch.Tensor:
        """Return the logits of windows; `network` makes frames of samples, and of an attention mask if it is given.

        Without padding, the mean is over all frames, as these models were trained: windows have equal lengths.
        """
        raise NotImplementedError


class TanhHead(torch.nn.Module):
    """A dense layer, tanh, and a projection to the labels."""

    def __init__(self, width: int, labels: int) -> None:
        super().__init__()
        self.dense = torch.nn.Linear(width, width)
        self.out_proj = torch.nn.Linear(width, labels)

    def forward(self, pooled: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.out_proj(torch.tanh(self.dense(pooled)))
        return logits


class Tanh(OwnHead):
    """One tanh head on the pooled frames."""

    def __init__(self, name: str, config: Any) -> None:
        pooling = getattr(config, "pooling_mode", "mean")
        if pooling not in POOLS:
            raise ModelError(f"{name}: pooling_mode in config.json is {pooling!r}, none of {', '.join(POOLS)}")
        self._pool = POOLS[pooling]
        self._head = TanhHead(config.hidden_size, config.num_labels)
        self.layers = {"classifier": self._head}

    def logits(self, network: Callable[..., torch.Tensor], samples: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self._head(self._pool(network(samples)))
        return logits


class AgeAndGender(OwnHead):
    """Two tanh heads on the mean of the frames. audeering's model card has the arithmetic."""

    def __init__(self, name: str, config: Any) -> None:
        parts = LAYOUTS["age and gender"].parts
        self._age, self._gender = (TanhHead(config.hidden_size, part.labels) for part in parts)
        self.layers = {"age": self._age, "gender": self._gender}

    def logits(self, network: Callable[..., torch.Tensor], samples: torch.Tensor) -> torch.Tensor:
        pooled = network(samples).mean(dim=1)
        return torch.cat([self._age(pooled), self._gender(pooled)], dim=-1)


class Attention(OwnHead):
    """Attention over the frames of sound, in windows padded with zeros, as smart-turn-v2 is run by its author.

    The first layer of its network is normed over time, the padding too, so without it the answer would be another.
    """

    def __init__(self, name: str, config: Any) -> None:
        linear, width = torch.nn.Linear, config.hidden_size
        self._attention = torch.nn.Sequential(linear(width, 256), torch.nn.Tanh(), linear(256, 1))
        self._classifier = torch.nn.Sequential(
            linear(width, 256),
            torch.nn.LayerNorm(256),
            torch.nn.GELU(),
            torch.nn.Dropout(0.1),
            linear(256, 64),
            torch.nn.GELU(),
            linear(64, 1),
        )
        self.layers = {"pool_attention": self._attention, "classifier": self._classifier}

    def logits(self, network: Callable[..., torch.Tensor], samples: torch.Tensor) -> torch.Tensor:
        # No number of windows and no length as an integer, so that the network can be traced for any
        length = round(PADDED_SECONDS * RATE)
        whole = torch.nn.functional.pad(samples, (0, length - samples.shape[1]))
        heard = torch.nn.functional.pad(torch.ones_like(samples), (0, length - samples.shape[1]))
        mask = heard.to(torch.long)
        frames = network(whole, mask)
        places = (torch.arange(frames.shape[1], device=samples.device) * (length / frames.shape[1])).long()
        silent = (1 - mask[:, places]).unsqueeze(-1).to(frames.dtype)
        weights = torch.softmax(self._attention(frames) + silent * NEVER_HEARD, dim=1)
        logits: torch.Tensor = self._classifier((frames * weights).sum(dim=1))
        return logits


class Normed(OwnHead):
    """The mean of frames that are normed over time and width together, as SpeechBrain's `output_norm` does.

    It norms the samples too, and to that end the feature extractor of a converted checkpoint does not.
    """

    def __init__(self, name: str, config: Any) -> None:
        self._output = torch.nn.Linear(config.hidden_size, config.num_labels, bias=False)
        self.layers = {"output_mlp": self._output}

    def logits(self, network: Callable[..., torch.Tensor], samples: torch.Tensor) -> torch.Tensor:
        frames = network(_normed(samples))
        logits: torch.Tensor = self._output(_normed(frames).mean(dim=1))
        return logits


OWN_HEADS: dict[Head, Callable[[str, Any], OwnHead]] = {
    "tanh": Tanh,
    "age and gender": AgeAndGender,
    "attention": Attention,
    "normed": Normed,
}


def _normed(values: torch.Tensor) -> torch.Tensor:
    """Return each window's values with mean 0 and variance 1."""
    axes = tuple(range(1, values.dim()))
    variance, mean = torch.var_mean(values, dim=axes, correction=0, keepdim=True)
    normed: torch.Tensor = (values - mean) * torch.rsqrt(variance + LAYER_NORM_EPSILON)
    return normed


def _with_head(stock: type[Any], make: Callable[[Any], OwnHead]) -> type[Any]:
    """Return a class like the stock one with the head that `make` makes for a configuration.

    It is a subclass, so that transformers renames old weights as it does for the stock class.
    """

    class WithHead(stock):  # type: ignore[misc]  # transformers is untyped to mypy
        def __init__(self, config: Any) -> None:
            super().__init__(config)
            del self.projector, self.classifier
            self.own_head = make(config)
            for layer, module in self.own_head.layers.items():
                self.add_module(layer, module)

        def forward(self, **inputs: torch.Tensor) -> Any:
            samples = inputs.pop(self.main_input_name)

            def frames(samples: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
                others = inputs if mask is None else {"attention_mask": mask}
                found: torch.Tensor = self.base_model(samples, **others)[0]
                return found

            return SequenceClassifierOutput(logits=self.own_head.logits(frames, samples))

    return WithHead
