"""Draw the clips of a batch."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence

import torch
from torch import Tensor

from earmark.config.labels import SILENCE, UNKNOWN
from training.data.corpora import FURTHER, Clip

# 60 % of every batch are the ten commands, evenly. Each corpus has its share of the other words.
LABEL_SHARE = {UNKNOWN: 0.25, SILENCE: 0.05, **dict.fromkeys(FURTHER, 0.035)}
COMMAND_SHARE = 0.06
CORPUS_SHARE = {
    "speech_commands_v1_words": 0.15,
    "speech_commands_v2_test": 0.25,
    "librispeech_pieces": 0.3,
    "librispeech_phrases": 0.15,
    "librispeech": 0.05,
}
OTHER_CORPUS_SHARE = 0.1


def chances(clips: Sequence[Clip]) -> Tensor:
    """Return the probability of each clip; they sum to 1.

    A command's clips are equally likely. Within a corpus's other words, a word of n clips counts
    as the square root of n, so that common words do not drown rare ones.
    """
    words = Counter((clip.label, clip.corpus, clip.word) for clip in clips)
    groups = [(clip.label, clip.corpus if clip.label == UNKNOWN else "") for clip in clips]
    present = {corpus: CORPUS_SHARE.get(corpus, OTHER_CORPUS_SHARE) for label, corpus in groups if label == UNKNOWN}
    shares: dict[Hashable, float] = {}
    for label, corpus in groups:
        part = present[corpus] / sum(present.values()) if label == UNKNOWN else 1.0
        shares[label, corpus] = part * LABEL_SHARE.get(label, COMMAND_SHARE)
    weights = [words[clip.label, clip.corpus, clip.word] ** -0.5 if clip.label == UNKNOWN else 1.0 for clip in clips]
    totals: dict[Hashable, float] = defaultdict(float)
    for group, weight in zip(groups, weights, strict=True):
        totals[group] += weight
    each = [w * shares[g] / totals[g] for g, w in zip(groups, weights, strict=True)]
    return torch.tensor(each) / sum(each)


def draw(weights: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Return the numbers of `count` clips, drawn with replacement."""
    return torch.multinomial(weights, count, replacement=True, generator=generator)
