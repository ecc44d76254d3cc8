"""The layouts of heads, told apart by the names of their weights. Without torch.

Fine-tuned models of the wav2vec2 family often have a head of their author's own instead of transformers'. The stock
class ignores such a head and fills its own with random numbers, and then every label scores the same.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Literal

import msgspec

from earmark.errors import ModelError

Head = Literal["stock", "affine", "tanh"]
"""`stock` is transformers' own head. The others work on the mean over the frames:

`affine`  classifier.dense, then classifier.output with nothing between: the recommended emotion model,
          ehcalabres/wav2vec2-lg-xlsr-en-speech-emotion-recognition
`tanh`    classifier.dense, tanh, classifier.out_proj: m3hrdadfi/soxan, models trained with it, audeering's regressions
"""

WITHOUT_FRAMES = ("audio-spectrogram-transformer", "whisper")  # their stock heads are built otherwise
LENGTH_BYTES = 8  # at the start of a safetensors file: the length of the JSON header that follows
MAX_HEADER_BYTES = 100_000_000  # the format's own limit


def head(model_type: str, names: Collection[str]) -> Head:
    """Return the head that has weights of these `names`. Missing weights show when it is loaded."""
    if model_type not in WITHOUT_FRAMES and "classifier.dense.weight" in names:
        if "classifier.output.weight" in names:
            return "affine"
        if "classifier.out_proj.weight" in names:
            return "tanh"
    return "stock"


def weight_names(name: str, path: Path) -> frozenset[str]:
    """Return the names of the weights of checkpoint `name` in folder `path`, without reading the weights.

    Raises ModelError if a file is not what its name says.
    """
    index, single = path / "model.safetensors.index.json", path / "model.safetensors"
    file = single if single.is_file() else index
    try:
        if file == index:
            return frozenset(msgspec.json.decode(file.read_bytes(), type=_Index).weight_map)
        with file.open("rb") as weights:
            size = int.from_bytes(weights.read(LENGTH_BYTES), "little")
            header = weights.read(min(size, MAX_HEADER_BYTES))
        return frozenset(msgspec.json.decode(header, type=dict[str, msgspec.Raw])) - {"__metadata__"}
    except OSError as error:  # its own text names the path, and this sentence may go to clients
        raise ModelError(f"{name}: {file.name} cannot be read ({error.strerror})") from error
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise ModelError(f"{name}: {file.name} is not what its name says; fetch the checkpoint again") from None


class _Index(msgspec.Struct):
    """The index of a checkpoint in several files: each weight's file."""

    weight_map: dict[str, str]
