"""How long the windows of a classifier are: by its settings, its model, and what can be sent to the engine."""

from __future__ import annotations

from collections.abc import Iterable

from earmark.checkpoints.checkpoint import Checkpoint
from earmark.config import settings as config
from earmark.errors import ConfigError
from earmark.windowing.windows import Lengths

WINDOW_SECONDS = 1.0  # if neither the settings nor the model name a length
LIMIT_SECONDS = 10.0  # of an utterance, likewise
GRID_SECONDS = 0.25  # by which windows of utterances grow


def window_lengths(where: str, settings: config.Classifier, checkpoint: Checkpoint, most: int) -> Lengths:
    """Return the lengths of the windows, `most` samples at most.

    Raises ConfigError, which names the setting `where`.
    """
    rate = checkpoint.rate
    longest = checkpoint.window or checkpoint.limit
    window = round(settings.window * rate) or checkpoint.window or round(WINDOW_SECONDS * rate)
    limit = round(settings.max_window * rate) or longest or max(round(LIMIT_SECONDS * rate), window)
    for name, length in (("window", window), ("max_window", limit)):
        if longest and length > longest:
            raise ConfigError(
                f"{where}.{name}: {settings.model} takes {longest / rate:g} s at most, not {length / rate:g} s"
            )
    if limit < window:
        raise ConfigError(
            f"{where}.max_window: {limit / rate:g} s is shorter than the model's window, {window / rate:g} s"
        )
    pre_roll = settings.vad.pre_roll_ms * rate // 1000
    if settings.mode == "utterance" and 2 * pre_roll > limit:
        raise ConfigError(
            f"{where}.vad.pre_roll_ms: {settings.vad.pre_roll_ms} leaves too little of a window of {limit / rate:g} s"
            " for the sound itself; at most half of it"
        )
    if max(window, limit) > most:
        name, length = ("window", window) if window > most else ("max_window", limit)
        raise ConfigError(f"{where}.{name}: {length / rate:g} s is too long; {most / rate:g} s at most at {rate} Hz")
    if window < checkpoint.minimum:
        raise ConfigError(f"{where}.window: {settings.model} needs {checkpoint.minimum / rate:g} s at least")
    return Lengths(
        window,
        limit,
        max(1, round(settings.hop * rate)),
        pre_roll,
        round(GRID_SECONDS * rate),
    )


def windows_of(model: str, heard: Iterable[tuple[Lengths, tuple[Checkpoint, ...]]]) -> set[int]:
    """Return the lengths of the windows that a model is given often, in its own samples.

    `heard` has for each classifier its lengths, and the checkpoints that look at its windows, its own one first.
    """
    return {
        round(lengths.window * each.rate / checkpoints[0].rate)
        for lengths, checkpoints in heard
        for each in checkpoints
        if each.name == model
    }
