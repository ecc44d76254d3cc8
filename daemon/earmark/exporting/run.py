"""The work of `earmark export`, in a process of its own: `python -m earmark.exporting.run NAME FOLDER KIND [CLIPS]`.

Standard output has a line for each step, and fewer with `--brief`. On failure the exit code is 1, standard error ends
with one sentence, and the folder is as it was.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch

from earmark.audio.types import Floats
from earmark.checkpoints import reader
from earmark.checkpoints.checkpoint import Checkpoint
from earmark.checkpoints.exported import BRIEF, FILES, INPUT, OUTPUT, Kind
from earmark.errors import EarmarkError, ModelError
from earmark.exporting import sounds
from earmark.exporting.graph import export
from earmark.exporting.proof import Proof, Score, compare
from earmark.exporting.shared import share
from earmark.inference.scores import apply
from earmark.worker import model

PAIRS, SECONDS = 9, 15.0  # of timing: so many pairs, or as many as fit
FEW = 5  # each fifth of the sounds that are made up
FATAL = 4  # of onnxruntime's log
MEGABYTE = 1e6


def main() -> int:
    name, folder, kind, *clips = (each for each in sys.argv[1:] if each != BRIEF)
    recordings, is_brief = Path(clips[0]) if clips else None, BRIEF in sys.argv
    try:
        make(name, Path(folder), "int8" if kind == "int8" else "fp32", recordings, tell, is_brief=is_brief)
    except EarmarkError as error:
        print(error, file=sys.stderr)
        return 1
    except Exception as error:
        text = str(error).strip().partition("\n")[0]
        print(f"{name}: cannot be exported ({type(error).__name__}: {text})", file=sys.stderr)
        return 1
    return 0


def tell(text: str) -> None:
    print(text, flush=True)


def make(
    name: str,
    folder: Path,
    kind: Kind,
    clips: Path | None,
    tell: Callable[[str], None],
    export: Callable[[str, Path, Kind, int], onnx.ModelProto] = export,
    *,
    is_brief: bool = False,
) -> Path:
    """Export the checkpoint in `folder`, compare the file with torch, and put it in its place. Returns its path.

    Brief, it measures no speed and tells no path, because the folder will have another one. Raises EarmarkError, with
    the file that was there before untouched.
    """
    found = reader.read(folder, name)
    if found.takes_labels:
        raise ModelError(f"{name}: takes its labels at run time, and only torch runs such models")
    target, staged = folder / FILES[kind], folder / f".{FILES[kind]}.new"
    torch.set_num_threads(1)
    if not is_brief:
        tell(f"exporting {name}")
    graph = export(name, folder, kind, found.usual_length)
    shared = share(graph, name, folder) if kind == "fp32" else 0
    try:
        try:
            staged.write_bytes(graph.SerializeToString())
        except OSError as error:
            raise ModelError(f"{name}: {target} cannot be written ({error.strerror})") from error
        size = staged.stat().st_size
        del graph
        ours, theirs = _scores(found, staged), _scores_in_torch(found)
        tried = _tried(found, kind, clips)
        tell(f"comparing it with torch on {', '.join(f'{len(each)} × {_seconds_of(each, found)} s' for each in tried)}")
        proof = compare(ours, theirs, tried)
        tell(f"largest difference of scores {proof.difference:.1e}; best label equal in {_share(proof)}")
        if wrong := proof.complaint(kind):
            kept = f"; {target.name} stays as it was" if target.exists() else ""
            raise ModelError(f"{name}: the exported network is not kept, because {wrong}{kept}")
        for line in () if is_brief else _speeds(ours, theirs, found):
            tell(line)
        staged.replace(target)
    finally:
        staged.unlink(missing_ok=True)
    beside = f", and reads {shared / MEGABYTE:.1f} MB out of the weights beside it" if shared else ""
    tell(f"{target.name if is_brief else target} has {size / MEGABYTE:.1f} MB{beside}")
    return target


def session(file: Path, threads: int = 1) -> onnxruntime.InferenceSession:
    """Return a session of onnxruntime on the CPU."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = FATAL
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def _scores(found: Checkpoint, file: Path) -> Score:
    run = session(file).run
    return lambda samples: apply(found.scoring, run([OUTPUT], {INPUT: samples})[0], found.name)


def _scores_in_torch(found: Checkpoint) -> Score:
    loaded = model.load(found.name, Path(found.path), torch.device("cpu"), "fp32")
    return lambda samples: apply(found.scoring, loaded.classify(samples), found.name)


def _tried(found: Checkpoint, kind: Kind, clips: Path | None) -> list[Floats]:
    """Return the windows to compare on: of the usual length, a shorter one that is no whole number of frames, a longer.

    Recordings take the place of most sounds that are made up, and for int8 of all: a network is coarser on what it does
    not know.
    """
    usual = found.usual_length
    longest = usual if found.window is not None else min(2 * usual, found.limit or 2 * usual)
    others = sorted({max(found.minimum, usual * 5 // 8 + 7), longest} - {usual})
    if clips is None:
        return [sounds.synthetic(found.rate, length) for length in (usual, *others)]
    heard = [sounds.clips(clips, found.rate, usual)]
    return heard if kind == "int8" else heard + [sounds.synthetic(found.rate, each)[::FEW] for each in others]


def _seconds_of(windows: Floats, found: Checkpoint) -> str:
    return f"{windows.shape[1] / found.rate:.2g}"


def _share(proof: Proof) -> str:
    return f"{100 * proof.agreement:.4g} % of {proof.windows} windows"


def _speeds(ours: Score, theirs: Score, found: Checkpoint) -> list[str]:
    """Time both in turn, alone and in batches of 8, and return a line for each."""
    told = []
    for size in (1, 8):
        samples = np.random.default_rng(0).normal(0, 0.1, (size, found.usual_length)).astype(np.float32)
        pairs: list[tuple[float, float]] = []
        ends = time.monotonic() + SECONDS
        while len(pairs) < PAIRS and (not pairs or time.monotonic() < ends):
            pairs.append((_seconds(ours, samples), _seconds(theirs, samples)))
        fast, slow = (size / statistics.median(each) for each in zip(*pairs, strict=True))
        factor = statistics.median(slow_time / fast_time for fast_time, slow_time in pairs)
        how = "one at a time" if size == 1 else f"in batches of {size}"
        told.append(f"{fast:.3g} windows a second against {slow:.3g} in torch, {how}, one thread each: × {factor:.2f}")
    return told


def _seconds(score: Score, samples: Floats) -> float:
    """Return the CPU time of one call."""
    began = time.process_time()
    score(samples)
    return time.process_time() - began


if __name__ == "__main__":
    sys.exit(main())
