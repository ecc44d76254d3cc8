"""The weights of a checkpoint, known from the headers of their files: names and shapes. Without torch.

The format: https://huggingface.co/docs/safetensors. A header of JSON comes first, then the weights, with no gap.
"""

from __future__ import annotations

import errno
from pathlib import Path

import msgspec

from earmark.checkpoints.checkpoint import Checkpoint
from earmark.checkpoints.head_layouts import wrong_head
from earmark.errors import ModelError

LENGTH_BYTES = 8  # at the start of a file: the length of the header that follows
MAX_HEADER_BYTES = 100_000_000  # the format's own limit
LFS_POINTER = b"version https://git-lfs"  # how the text begins that git keeps in place of a large file
SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"


class Weight(msgspec.Struct, frozen=True):
    """One weight, as a header describes it: `data_offsets` are bytes after the header, `dtype` is F32, F16 or other."""

    shape: tuple[int, ...]
    data_offsets: tuple[int, int]
    dtype: str = ""


class _Index(msgspec.Struct):
    """The index of a checkpoint in several files: each weight's file."""

    weight_map: dict[str, str]


def weight_names(name: str, path: Path) -> frozenset[str]:
    """Return the names of the weights of checkpoint `name` in folder `path`, without reading the weights.

    Raises ModelError if a file is not what its name says.
    """
    single = path / SINGLE
    return frozenset(header(name, single) if single.is_file() else _placed(name, path / INDEX))


def check(checkpoint: Checkpoint) -> None:
    """Raise ModelError if weights are not all there, or if the head is not one that Earmark knows."""
    path, name = Path(checkpoint.path), checkpoint.name
    files = {SINGLE} if (path / SINGLE).is_file() else set(_placed(name, path / INDEX).values())
    weights: dict[str, Weight] = {}
    for file in sorted(files):
        if "/" in file:
            raise ModelError(f"{name}: {INDEX} names files in other folders")
        weights |= whole(name, path / file)
    shapes = {weight: found.shape for weight, found in weights.items()}
    if wrong := wrong_head(checkpoint.model_type, shapes, len(checkpoint.labels)):
        raise ModelError(f"{name}: {wrong}")


def header(name: str, file: Path) -> dict[str, Weight]:
    """Return the weights in a file, by name. Raises ModelError if it is no safetensors file."""
    try:
        if file.exists() and not file.is_file():
            raise _unreadable(name, file, OSError(errno.EINVAL, "it is no regular file"))  # a pipe would never end
        with file.open("rb") as content:
            size = int.from_bytes(content.read(LENGTH_BYTES), "little")
            text = content.read(min(size, MAX_HEADER_BYTES))
        tables = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
        return {weight: msgspec.json.decode(raw, type=Weight) for weight, raw in tables.items() if weight[:2] != "__"}
    except OSError as error:
        raise _unreadable(name, file, error) from error
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise _not_what_it_says(name, file) from None


def start(file: Path) -> int:
    """Return where the weights begin in a file whose header() could be read, in bytes."""
    with file.open("rb") as content:
        return LENGTH_BYTES + int.from_bytes(content.read(LENGTH_BYTES), "little")


def whole(name: str, file: Path) -> dict[str, Weight]:
    """Return the weights in a file, by name. Raises ModelError if the file has not the length that its header says."""
    weights = header(name, file)
    wanted = start(file) + max((weight.data_offsets[1] for weight in weights.values()), default=0)
    found = file.stat().st_size
    if found != wanted:
        raise ModelError(f"{name}: {file.name} has {found} of {wanted} bytes; fetch the checkpoint again")
    return weights


def _placed(name: str, index: Path) -> dict[str, str]:
    """Return the file of each weight."""
    try:
        return msgspec.json.decode(index.read_bytes(), type=_Index).weight_map
    except OSError as error:
        raise _unreadable(name, index, error) from error
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise _not_what_it_says(name, index) from None


def _unreadable(name: str, file: Path, error: OSError) -> ModelError:
    return ModelError(f"{name}: {file.name} cannot be read ({error.strerror})")  # no path: clients may see it


def _not_what_it_says(name: str, file: Path) -> ModelError:
    with file.open("rb") as content:
        is_pointer = content.read(len(LFS_POINTER)) == LFS_POINTER
    if is_pointer:
        return ModelError(f"{name}: {file.name} is a pointer of Git LFS, not the weights; run `git lfs pull` there")
    return ModelError(f"{name}: {file.name} is not what its name says; fetch the checkpoint again")
