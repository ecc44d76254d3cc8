"""Phrases: utterances that the daemon's gate finds in read sentences, for the model to learn as none of its words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from earmark.learning.find import ExampleFinder
from training.data.audio import RATE, load
from training.data.corpora import Clip

AROUND = (-0.45, 0.8)
"""Seconds from the onset within which a window of one second is cut, somewhat sooner or later than the daemon's."""


def phrases(clips: Iterable[Clip]) -> list[Clip]:
    """Return the beginnings of the utterances in every clip, as clips of a corpus of their own. Takes 0.3 s a clip."""
    finder = ExampleFinder("speech", RATE, RATE)
    early, late = (round(seconds * RATE) for seconds in AROUND)
    return [
        replace(clip, corpus=f"{clip.corpus}_phrases", kind="phrase", part=(max(0, onset + early), onset + late))
        for clip in clips
        for onset, _ in finder.spans(load(clip.path))
    ]
