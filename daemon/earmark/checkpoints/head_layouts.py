"""The heads that checkpoints come with, told apart by the names of their weights. Without torch.

Fine-tuned models of the wav2vec2 family often carry a head of their author's own instead of transformers'. Loaded
into the stock class such a head is left out, random numbers stand in for it, and every label scores the same.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Literal

import msgspec

from earmark.errors import ModelError

Head = Literal["stock", "affine", "tanh"]
"""`stock`: as transformers has it. The others, on the mean over the frames:

`affine`  classifier.dense, then classifier.output and nothing between: the recommended model,
          ehcalabres/wav2vec2-lg-xlsr-en-speech-emotion-recognition
`tanh`    classifier.dense, tanh, classifier.out_proj: m3hrdadfi/soxan, whoever trained with it, audeering's regressions
"""

WITHOUT_FRAMES = ("audio-spectrogram-transformer", "whisper")  # their stock heads are built otherwise
HEADER = 8  # bytes of a safetensors file: how long the JSON is that follows
LONGEST_HEADER = 100_000_000  # bytes, the format's own limit


def head(model_type: str, names: Collection[str]) -> Head:
    """Which head the weights `names` make. Whether all of it is there is seen when it is loaded."""
    if model_type not in WITHOUT_FRAMES and "classifier.dense.weight" in names:
        if "classifier.output.weight" in names:
            return "affine"
        if "classifier.out_proj.weight" in names:
            return "tanh"
    return "stock"


def weight_names(name: str, path: Path) -> frozenset[str]:
    """The names of the weights of checkpoint `name` in folder `path`, without reading the weights.

    Raises ModelError where a file is not what it is called.
    """
    index, single = path / "model.safetensors.index.json", path / "model.safetensors"
    file = single if single.is_file() else index
    try:
        if file == index:
            return frozenset(msgspec.json.decode(file.read_bytes(), type=_Index).weight_map)
        with file.open("rb") as weights:
            size = int.from_bytes(weights.read(HEADER), "little")
            header = weights.read(min(size, LONGEST_HEADER))
        return frozenset(msgspec.json.decode(header, type=dict[str, msgspec.Raw])) - {"__metadata__"}
    except OSError as error:  # its text has the path in it, and this may go to clients
        raise ModelError(f"{name}: {file.name} cannot be read ({error.strerror})") from error
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise ModelError(f"{name}: {file.name} is not what its name says; fetch the checkpoint again") from None


class _Index(msgspec.Struct):
    """Of a checkpoint in several files: which weight is in which."""

    weight_map: dict[str, str]
