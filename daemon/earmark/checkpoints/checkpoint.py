"""What a checkpoint folder says about itself, read without torch or transformers: the daemon imports neither."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from earmark.errors import ModelError

ARCHITECTURES = {
    "audio-spectrogram-transformer": "ASTForAudioClassification",
    "data2vec-audio": "Data2VecAudioForSequenceClassification",
    "hubert": "HubertForSequenceClassification",
    "sew": "SEWForSequenceClassification",
    "sew-d": "SEWDForSequenceClassification",
    "unispeech": "UniSpeechForSequenceClassification",
    "unispeech-sat": "UniSpeechSatForSequenceClassification",
    "wav2vec2": "Wav2Vec2ForSequenceClassification",
    "wav2vec2-bert": "Wav2Vec2BertForSequenceClassification",
    "wav2vec2-conformer": "Wav2Vec2ConformerForSequenceClassification",
    "wavlm": "WavLMForSequenceClassification",
    "whisper": "WhisperForAudioClassification",
}
"""`model_type` to the class that transformers maps for the task."""

KNOWN = ARCHITECTURES | {"earmark-cnn": "EarmarkCnnForAudioClassification"}
"""The same with our own network (`cnn.py`)."""

EMBEDDED = Path(__file__).parent.parent / "models"
RATE = 16000  # Hz, where preprocessor_config.json does not say
FRAME, HOP = 25, 10  # ms, of the filter banks of AST and wav2vec2-BERT
USUAL_KERNELS, USUAL_STRIDES = (10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2)
SEW_KERNELS = (10, 3, 1, 3, 1, 3, 1, 3, 1, 2, 1, 2, 1)
SEW_STRIDES = (5, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint that Earmark can try to load. Lengths are in samples at `rate` Hz.

    `window` is the one length that the model always works on (Whisper pads to it), None where it takes any.
    `limit` is the most that it hears in one go, None where only memory limits it; `minimum` the least.
    `revision` is the 40-digit commit where the folder is a snapshot of the Hub's cache or comes from `earmark pull`,
    else empty.
    """

    name: str
    path: Path
    labels: tuple[str, ...]
    rate: int
    architecture: str
    model_type: str
    problem_type: str | None
    window: int | None
    limit: int | None
    minimum: int
    revision: str = ""
    licence: str = ""


def read(path: Path, name: str = "") -> Checkpoint:
    """The checkpoint in folder `path`, called `name` or else as the folder is.

    Raises ModelError, in one sentence that names the folder, where it could not be served.
    """
    if not path.is_dir():
        raise ModelError(f"{path} is not a folder; a checkpoint is one, with config.json and model.safetensors in it")
    config = _json(path, "config.json", "is this a Hugging Face checkpoint?")
    model_type, architecture = _architecture(path, config)
    _require_weights(path)
    extractor = _json(path, "preprocessor_config.json", "copy it from the checkpoint that this one was trained from")
    rate = extractor.get("sampling_rate", RATE)
    if not isinstance(rate, int) or rate <= 0:
        raise ModelError(f"{path}: sampling_rate in preprocessor_config.json is {rate!r}, not a rate in Hz")
    window, limit, minimum = _lengths(path, model_type, config, extractor, rate)
    return Checkpoint(
        name=name or path.name,
        path=path,
        labels=_labels(path, config),
        rate=rate,
        architecture=architecture,
        model_type=model_type,
        problem_type=config.get("problem_type"),
        window=window,
        limit=limit,
        minimum=minimum,
        revision=_revision(path),
        licence=_licence(path),
    )


def require_classifier(path: Path) -> None:
    """ModelError where config.json in folder `path` is not that of an audio classifier; the weights may be absent."""
    config = _json(path, "config.json", "is this a Hugging Face checkpoint?")
    _architecture(path, config)
    _labels(path, config)


def embedded(folder: Path = EMBEDDED) -> dict[str, Path]:
    """The checkpoints that come with Earmark: model id, `earmark/NAME`, to folder."""
    return {f"earmark/{file.parent.name}": file.parent for file in sorted(folder.glob("*/config.json"))}


def _json(path: Path, file: str, remedy: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = msgspec.json.decode((path / file).read_bytes(), type=dict[str, Any])
    except FileNotFoundError:
        raise ModelError(f"{path} holds no {file}; {remedy}") from None
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: {file} cannot be read ({error}); fetch the checkpoint again") from error
    return found


def _architecture(path: Path, config: dict[str, Any]) -> tuple[str, str]:
    model_type = config.get("model_type")
    names = config.get("architectures") or [KNOWN.get(str(model_type), "")]
    named = str(names[0]) if isinstance(names, list) and names else str(names)
    if model_type not in KNOWN:
        known = ", ".join(KNOWN)
        raise ModelError(f"{path}: model type {model_type!r} does not classify audio; those that do: {known}")
    # Not an exact match: authors name classes of their own (Wav2Vec2ForSpeechClassification, EmotionModel), and
    # whether the head fits is decided by its weights, when they are loaded. What is left are transformers' names.
    known_name = named.startswith(KNOWN[model_type].partition("For")[0]) or "For" in named or not named
    if known_name and (not named.endswith("Classification") or named.endswith("FrameClassification")):
        raise ModelError(
            f"{path}: {named} is not an audio classifier; a {model_type} that is one is a {KNOWN[model_type]}"
        )
    return model_type, named


def _require_weights(path: Path) -> None:
    if any((path / file).is_file() for file in ("model.safetensors", "model.safetensors.index.json")):
        return
    if any(path.glob("pytorch_model*.bin")):
        raise ModelError(
            f"{path} holds its weights as pytorch_model.bin, which can run code when it is read;"
            " convert them to model.safetensors"
        )
    raise ModelError(f"{path} holds no model.safetensors; fetch the weights too")


def _labels(path: Path, config: dict[str, Any]) -> tuple[str, ...]:
    found = config.get("id2label")
    try:
        names = {int(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}
    except ValueError:
        names = {}
    if not names or sorted(names) != list(range(len(names))):
        raise ModelError(f"{path}: config.json names no labels; id2label must give one for each of 0, 1, 2, ...")
    return tuple(names[index] for index in range(len(names)))


def _lengths(
    path: Path, model_type: str, config: dict[str, Any], extractor: dict[str, Any], rate: int
) -> tuple[int | None, int | None, int]:
    """Window, limit and minimum, as Checkpoint says."""
    try:
        match model_type:
            case "whisper" | "earmark-cnn":
                samples = int(extractor.get("chunk_length", 30) * rate)
                return samples, samples, 1
            case "audio-spectrogram-transformer":
                return None, int(extractor.get("max_length", 1024)) * HOP * rate // 1000, FRAME * rate // 1000
            case "wav2vec2-bert":  # scales by the variance over its frames: one has none
                return None, None, (FRAME + HOP) * rate // 1000
            case "sew" | "sew-d":
                kernels = config.get("conv_kernel", SEW_KERNELS)
                strides = config.get("conv_stride", SEW_STRIDES)
                return None, None, shortest(kernels, strides, frames=config.get("squeeze_factor", 2))
            case _:
                kernels = config.get("conv_kernel", USUAL_KERNELS)
                return None, None, shortest(kernels, config.get("conv_stride", USUAL_STRIDES))
    except (TypeError, ValueError) as error:
        raise ModelError(f"{path}: the lengths of its layers or frames make no sense ({error})") from error


def shortest(kernels: Iterable[int], strides: Iterable[int], frames: int = 1) -> int:
    """The fewest samples of which a stack of unpadded convolutions makes `frames` frames."""
    samples = frames
    for kernel, stride in reversed(list(zip(kernels, strides, strict=True))):
        samples = (samples - 1) * stride + kernel
    return samples


def _revision(path: Path) -> str:
    """The Hub's cache keeps a checkpoint at `.../snapshots/COMMIT`, `earmark pull` at `.../ORG--NAME@COMMIT`."""
    found = re.fullmatch(r"(?:.*@)?([0-9a-f]{40})", path.resolve().name)
    return found[1] if found else ""


def _licence(path: Path) -> str:
    """The licence in the model card's front matter, without a YAML parser: `license:`, or its list, and
    `license_name:`, which the Hub's cards give beside `license: other`."""
    try:
        card = (path / "README.md").read_text(encoding="utf-8-sig", errors="replace")
    except OSError:
        return ""
    front = re.match(r"\s*---[ \t]*\n(.*?)\n---", card, re.DOTALL)
    lines = front[1].splitlines() if front else []
    names = [*_values("license", lines), *_values("license_name", lines)]
    return "".join(filter(str.isprintable, ", ".join(names)))  # it goes to terminals and logs


def _values(key: str, lines: Sequence[str]) -> list[str]:
    """What stands behind the key on its line, or else in the list or the text below it."""
    for at, line in enumerate(lines):
        if line.startswith(f"{key}:"):
            behind = line[len(key) + 1 :]
            below = itertools.takewhile(lambda other: re.match(r"[ \t]|-[ \t]", other), lines[at + 1 :])
            texts = [behind, *(re.sub(r"^[ \t]*(-[ \t]+)?", "", other) for other in below)]
            bare = (re.split(r"[ \t]#", text)[0].strip().strip("\"'") for text in texts)
            return [text for text in bare if text and not re.fullmatch(r"[>|][+-]?|#.*", text)]
    return []
