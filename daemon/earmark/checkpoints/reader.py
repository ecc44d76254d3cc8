"""Reads a checkpoint folder without torch or transformers, which the daemon does not import."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from earmark.checkpoints.checkpoint import CLAP, COMMIT, Checkpoint
from earmark.checkpoints.head_layouts import LAYOUTS, OWN_CLASSES, Layout, head
from earmark.checkpoints.lengths import Lengths, lengths
from earmark.checkpoints.model_card import licence
from earmark.checkpoints.weights import weight_names
from earmark.errors import ModelError
from earmark.plain_file import read_bytes

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
"""The class that transformers has for each `model_type` that classifies audio."""

LABELLED = {CLAP: "ClapModel"}
"""The same for those that take their labels at run time."""

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.json", "merges.txt")
"""The files that may describe how the texts of labels are read. The first, or the last two, are needed."""

EXTRACTOR_FILES = ("processor_config.json", "preprocessor_config.json")
"""The files that may describe the feature extractor. transformers 5 writes the first for models with a tokenizer."""

ONE_LABEL = "multi_label_classification"
"""The problem type of a checkpoint with a single label that names none: softmax over one output is always 1."""

EMBEDDED = Path(__file__).parent.parent / "models"
DEFAULT_RATE = 16000  # Hz, if the feature extractor names none
MAX_JSON_BYTES = 16_000_000  # a file with MAX_LABELS labels has some 5 MB
MAX_LABELS = 100_000  # that are numbered; the largest sets have some thousands
DEFAULT_LABELS = 2  # of transformers, for a checkpoint that names none


def read(path: Path, name: str = "") -> Checkpoint:
    """Read the checkpoint in folder `path`. It is called `name`, or as the folder is.

    Raises ModelError, in one sentence that names the folder, if it could not be served.
    """
    if not path.is_dir():
        sentence = f"{path} is not a folder; a checkpoint is one, with config.json and model.safetensors in it"
        fetched = f"; `earmark pull {name}` fetches it if the Hugging Face Hub has it"
        raise ModelError(sentence + (fetched if "/" in name and not path.exists() else ""))
    config = _json(path, "config.json", "is this a Hugging Face checkpoint?")
    model_type = _model_type(path, config)
    _require_weights(path)
    extractor = _extractor(path)
    rate = _rate(path, extractor)
    layout = _layout(path, model_type)
    labels = layout.labels(_labels(path, config))
    if model_type in LABELLED:
        require_tokenizer(path)
    found = _lengths(path, model_type, config, extractor, rate)
    if layout.padded_seconds:
        found = found._replace(limit=round(layout.padded_seconds * rate))
    return Checkpoint(
        name=name or path.name,
        path=str(path),
        labels=labels,
        rate=rate,
        model_type=model_type,
        problem_type=config.get("problem_type") or (ONE_LABEL if len(labels) == 1 else None),
        window=found.window,
        limit=found.limit,
        minimum=found.minimum,
        revision=_revision(path),
        licence=_licence(path),
        parts=layout.parts,
        is_padded=layout.padded_seconds > 0,
    )


def require_classifier(path: Path) -> None:
    """Raise ModelError if config.json in folder `path` does not describe an audio classifier. Weights may be absent."""
    config = _json(path, "config.json", "is this a Hugging Face checkpoint?")
    _model_type(path, config)
    _labels(path, config)


def takes_labels(path: Path) -> bool:
    """Return whether the model in folder `path`, which is a classifier, takes its labels at run time."""
    return str(_json(path, "config.json", "is this a Hugging Face checkpoint?").get("model_type")) in LABELLED


def require_tokenizer(path: Path) -> None:
    """Raise ModelError if folder `path` does not say how to read the texts of labels."""
    whole, *_, words, pairs = TOKENIZER_FILES
    if not (path / whole).is_file() and not ((path / words).is_file() and (path / pairs).is_file()):
        raise ModelError(f"{path} holds no {whole}, and not both {words} and {pairs}; copy them from the checkpoint")


def require_extractor(path: Path) -> None:
    """Raise ModelError if folder `path` does not say how the model wants its sound. Weights may be absent."""
    _rate(path, _extractor(path))


def embedded(folder: Path = EMBEDDED) -> dict[str, Path]:
    """Return the folders of the checkpoints that come with Earmark, by model id: `earmark/NAME`."""
    return {f"earmark/{file.parent.name}": file.parent for file in sorted(folder.glob("*/config.json"))}


def _json(path: Path, file: str, remedy: str) -> dict[str, Any]:
    """Return the object in `file`. Python's own reader takes NaN and Infinity, which transformers writes."""
    try:
        found = json.loads(read_bytes(path / file, MAX_JSON_BYTES)[0])
    except FileNotFoundError:
        raise ModelError(f"{path} holds no {file}; {remedy}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path}: {file} cannot be read ({error}); fetch the checkpoint again") from error
    if not isinstance(found, dict):
        raise ModelError(f"{path}: {file} cannot be read (it holds no object); fetch the checkpoint again")
    return found


def _extractor(path: Path) -> dict[str, Any]:
    """Return the settings of the feature extractor, from the file from which transformers takes them."""
    remedy = "copy it from the checkpoint that this one was trained from"
    processor, alone = EXTRACTOR_FILES
    if (path / processor).is_file():
        nested = _json(path, processor, remedy)
        found = nested.get("feature_extractor", nested.get("audio_processor"))
        if isinstance(found, dict):
            return found
    return _json(path, alone, remedy)


def _rate(path: Path, extractor: dict[str, Any]) -> int:
    rate = extractor.get("sampling_rate", DEFAULT_RATE)
    if isinstance(rate, float) and rate.is_integer():
        rate = int(rate)
    if not isinstance(rate, int) or rate <= 0:
        raise ModelError(f"{path}: sampling_rate of its feature extractor is {rate!r}, not a rate in Hz")
    return rate


def _model_type(path: Path, config: dict[str, Any]) -> str:
    """Return `model_type` if it and the class of the network are those of an audio classifier."""
    model_type = config.get("model_type")
    classes = ARCHITECTURES | LABELLED
    names = config.get("architectures") or [classes.get(str(model_type), "")]
    named = str(names[0]) if isinstance(names, list) and names else str(names)
    if str(model_type) in LABELLED:
        if named != LABELLED[str(model_type)]:
            raise ModelError(f"{path}: {named} is no {LABELLED[str(model_type)]}, which reads labels as well as sound")
        return str(model_type)
    if model_type not in ARCHITECTURES:
        known = ", ".join(classes)
        raise ModelError(f"{path}: model type {model_type!r} does not classify audio; those that do: {known}")
    # Authors name classes of their own (Wav2Vec2ForSpeechClassification, EmotionModel), and whether their head fits
    # shows when the weights are loaded. So only the names of transformers' own classes for other tasks are refused.
    is_known = named.startswith(ARCHITECTURES[model_type].partition("For")[0]) or "For" in named or not named
    is_known = is_known and named not in OWN_CLASSES
    if is_known and (not named.endswith("Classification") or named.endswith("FrameClassification")):
        raise ModelError(
            f"{path}: {named} is not an audio classifier; a {model_type} that is one is a {ARCHITECTURES[model_type]}"
        )
    return str(model_type)


def _require_weights(path: Path) -> None:
    if any((path / file).is_file() for file in ("model.safetensors", "model.safetensors.index.json")):
        return
    if any(path.glob("pytorch_model*.bin")):
        raise ModelError(
            f"{path} holds its weights as pytorch_model.bin, which can run code when it is read;"
            " convert them to model.safetensors"
        )
    raise ModelError(f"{path} holds no model.safetensors; fetch the weights too")


def _layout(path: Path, model_type: str) -> Layout:
    """Return the layout of the head. Weights that cannot be read are told when they are loaded; here they are stock."""
    try:
        return LAYOUTS[head(model_type, weight_names(path.name, path))]
    except ModelError:
        return LAYOUTS["stock"]


def _labels(path: Path, config: dict[str, Any]) -> tuple[str, ...]:
    """Return the labels in their order, none where they are given at run time.

    Without names, transformers numbers them: LABEL_0, LABEL_1, ...
    """
    if str(config.get("model_type")) in LABELLED:
        return ()
    found = config.get("id2label")
    if found is None:
        count = config.get("num_labels", DEFAULT_LABELS)
        count = count if isinstance(count, int) and count <= MAX_LABELS else 0
        found = {number: f"LABEL_{number}" for number in range(count)}
    try:
        names = {int(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}
    except ValueError:
        names = {}
    if not names or sorted(names) != list(range(len(names))):
        raise ModelError(f"{path}: config.json names no labels; id2label must give one for each of 0, 1, 2, ...")
    return tuple(names[index] for index in range(len(names)))


def _lengths(path: Path, model_type: str, config: dict[str, Any], extractor: dict[str, Any], rate: int) -> Lengths:
    try:
        return lengths(model_type, config, extractor, rate)
    except (TypeError, ValueError, OverflowError) as error:
        raise ModelError(f"{path}: the lengths of its layers or frames make no sense ({error})") from error


def _revision(path: Path) -> str:
    """Return the commit that names the folder.

    The Hub's cache keeps a checkpoint at `.../snapshots/COMMIT`, `earmark pull` at `.../ORG--NAME@COMMIT`.
    """
    commit = path.resolve().name.rpartition("@")[2]
    return commit if COMMIT.fullmatch(commit) else ""


def _licence(path: Path) -> str:
    try:
        return licence(read_bytes(path / "README.md", MAX_JSON_BYTES)[0].decode("utf-8-sig", "replace"))
    except OSError:
        return ""
