"""`earmark pull`: fetch a model from the Hub into a folder that the daemon can serve, pinned and checked.

The weights are hard links into huggingface_hub's cache if both are on one file system, else copies, so clearing the
cache does not remove them. A folder appears under its name when it is complete and was tried out, and not before.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from earmark.checkpoints import child, hub_client, manifest, reader, store
from earmark.checkpoints.checkpoint import COMMIT, Checkpoint
from earmark.errors import ModelError
from earmark.foreign import speechbrain
from earmark.plain_file import read_bytes
from earmark.tomlfile.values import toml

MODEL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}(/[A-Za-z0-9][A-Za-z0-9._-]{0,95})?")
CONVERT, TRY = "earmark.converting.convert", "earmark.worker.try_out"  # where torch is imported
README = "README.md"
OPTIONAL_FILES = (*reader.EXTRACTOR_FILES, README)
PART = re.compile(r"model-\d{5}-of-\d{5}\.safetensors|model\.safetensors\.index\.json")
PICKLED_PART = re.compile(r"pytorch_model-\d{5}-of-\d{5}\.bin")

Tell = Callable[[str], None]
"""Called with a few words about what is being done now."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """A model that was pulled. `path` is its folder; `is_new` is False if an earlier pull had fetched it."""

    model: str
    revision: str
    path: Path
    checkpoint: Checkpoint
    is_new: bool

    def settings(self) -> str:
        """Return the lines for the daemon's configuration."""
        lines = f"[[model]]\nname = {toml(self.model)}\npath = {toml(str(self.path))}\n"
        if not self.checkpoint.takes_labels:
            return lines
        return f"{lines}\n# It takes its labels at run time: write `labels` into the [[classifier]] that names it\n"


def pull(wanted: str, models: Path, tell: Tell) -> Pulled:
    """Fetch `wanted`, ORG/NAME or ORG/NAME@REVISION, into a folder in `models`, unless it is there.

    A commit of 40 digits that is there already is checked against its manifest, without the network. Raises ModelError;
    no incomplete folder is left then.
    """
    model, _, revision = wanted.partition("@")
    if not MODEL_ID.fullmatch(model) or ("@" in wanted and not revision):
        raise ModelError(f"{wanted!r} is not a model id; write ORG/NAME or ORG/NAME@REVISION")
    if COMMIT.fullmatch(revision) and (earlier := _earlier(model, revision, models)):
        return earlier
    tell(f"looking for {wanted}")
    listing = hub_client.find(model, revision or None)
    if not COMMIT.fullmatch(listing.revision):
        raise ModelError(f"{model}: the Hub names no commit but {listing.revision!r}; is HF_ENDPOINT a Hub?")
    if earlier := _earlier(model, listing.revision, models):
        return earlier
    folder = store.folder(models, model, listing.revision)
    try:
        models.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".pull-", dir=models) as scratch:
            staged = Path(scratch) / "model"
            staged.mkdir()
            _fill(staged, listing, tell)
            shutil.rmtree(folder, ignore_errors=True)  # a damaged one: an intact one was returned above
            staged.rename(folder)
        _set_link(store.newest(models, model), folder)
    except OSError as error:
        raise ModelError(f"{model}: cannot be kept in {models} ({error.strerror or error})") from error
    return Pulled(model, listing.revision, folder, reader.read(folder, model), is_new=True)


def _fill(staged: Path, listing: hub_client.Listing, tell: Tell) -> None:
    """Fetch the files, convert the weights, try the model out and write the manifest.

    The configuration is checked before the weights are fetched.
    """
    model = listing.model
    if speechbrain.is_one(listing.files):
        _fill_from_speechbrain(staged, listing, tell)
        return
    for name in ("config.json", *(name for name in OPTIONAL_FILES if name in listing.files)):
        if name not in listing.files:
            raise ModelError(f"{model}: holds no {name}; it is not a model of transformers")
        shutil.copyfile(hub_client.fetch(listing, name), staged / name)
    if not listing.files.keys() & set(reader.EXTRACTOR_FILES):
        raise ModelError(f"{model}: holds no preprocessor_config.json, so nobody knows how it wants its sound")
    try:
        reader.require_classifier(staged)
        reader.require_extractor(staged)
    except ModelError as error:
        raise _public(model, staged, error) from None
    if reader.takes_labels(staged):
        for name in (name for name in reader.TOKENIZER_FILES if name in listing.files):
            shutil.copyfile(hub_client.fetch(listing, name), staged / name)
        try:
            reader.require_tokenizer(staged)
        except ModelError as error:
            raise _public(model, staged, error) from None
    names = _weights(listing)
    tell(f"fetching the weights: {', '.join(names)}")
    fetched = [_checked(listing, name, hub_client.fetch(listing, name, bar=True)) for name in names]
    converted = {}
    if names[0].endswith(".bin"):
        tell("converting them to safetensors")
        _run(model, staged, CONVERT, "pickles", str(staged), *map(str, fetched))
        converted = {name: manifest.sha256(file) for name, file in zip(names, fetched, strict=True)}
    else:
        for name, file in zip(names, fetched, strict=True):
            _link_or_copy(file, staged / name)
    tell("trying it out")
    _run(model, staged, TRY, model, str(staged))
    manifest.write(staged, model, listing.revision, converted)


def _fill_from_speechbrain(staged: Path, listing: hub_client.Listing, tell: Tell) -> None:
    """Convert a checkpoint of SpeechBrain, whose files of text are checked before the weights are fetched."""
    model, fetched = listing.model, dict[str, Path]()
    for name in (speechbrain.SETTINGS, speechbrain.LABELS):
        fetched[name] = hub_client.fetch(listing, name)
    if README in listing.files:
        shutil.copyfile(hub_client.fetch(listing, README), staged / README)
    try:
        speechbrain.require_known(_text(fetched[speechbrain.SETTINGS]))
        speechbrain.labels(_text(fetched[speechbrain.LABELS]))
    except ModelError as error:
        raise _public(model, staged, error) from None
    weights = (speechbrain.ENCODER, speechbrain.HEAD)
    tell(f"fetching the weights: {', '.join(weights)}")
    for name in weights:
        fetched[name] = _checked(listing, name, hub_client.fetch(listing, name, bar=True))
    tell("converting the checkpoint of SpeechBrain")
    order = (*weights, speechbrain.LABELS)
    _run(model, staged, CONVERT, "speechbrain", str(staged), *(str(fetched[name]) for name in order))
    tell("trying it out")
    _run(model, staged, TRY, model, str(staged))
    converted = {name: manifest.sha256(file) for name, file in fetched.items()}
    manifest.write(staged, model, listing.revision, converted)


def _text(file: Path) -> str:
    return read_bytes(file, speechbrain.MAX_BYTES)[0].decode("utf-8", "replace")


def _weights(listing: hub_client.Listing) -> list[str]:
    """Return the files of weights to fetch: safetensors rather than pickles, one file rather than several."""
    found = sorted(listing.files)
    for single, part in (("model.safetensors", PART), ("pytorch_model.bin", PICKLED_PART)):
        if single in listing.files:
            return [single]
        if parts := [name for name in found if part.fullmatch(name)]:
            return parts
    raise ModelError(f"{listing.model}: holds neither model.safetensors nor pytorch_model.bin")


def _checked(listing: hub_client.Listing, name: str, file: Path) -> Path:
    """Return `file` if it has the SHA-256 that the Hub names."""
    expected = listing.files[name]
    if expected and manifest.sha256(file) != expected:
        raise ModelError(f"{listing.model}: {name} is not the file that the Hub names; remove {file} and pull again")
    return file


def _run(model: str, staged: Path, module: str, *arguments: str) -> None:
    """Run a module that needs torch. Raises ModelError with its sentence."""
    try:
        child.run(module, *arguments)
    except ModelError as error:
        raise _public(model, staged, error) from None


def _public(model: str, staged: Path, error: object) -> ModelError:
    """Return the error with the name of the model instead of the temporary folder."""
    text = str(error).replace(str(staged), model)
    return ModelError(text if text.startswith(model) else f"{model}: {text}")


def _link_or_copy(source: Path, target: Path) -> None:
    source = source.resolve()  # the file in the cache's snapshot is a link to a blob
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without hard links
        shutil.copyfile(source, target)


def _set_link(link: Path, folder: Path) -> None:
    """Have the link point to the folder beside it, in one step, because a daemon may be reading it."""
    new = link.with_name(f".{link.name}.{os.getpid()}")
    new.symlink_to(folder.name)
    new.replace(link)


def _earlier(model: str, revision: str, models: Path) -> Pulled | None:
    """Return the model that an earlier pull fetched, if every file is intact."""
    folder = store.folder(models, model, revision)
    try:
        if manifest.check(folder).id != model:
            return None
        with contextlib.suppress(OSError):  # another user's folder, which is read-only for us
            _set_link(store.newest(models, model), folder)
        return Pulled(model, revision, folder, reader.read(folder, model), is_new=False)
    except ModelError:
        return None
