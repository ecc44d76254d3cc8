"""Keep all clips in memory, and cut windows from many of them at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from training.data.audio import RATE, Samples, active_span, load
from training.data.corpora import LABELS, Clip

WINDOW = RATE


@dataclass(frozen=True, slots=True)
class Bank:
    """Clips end to end as 16-bit samples; every field but `samples` has one entry for each clip.

    `begins` and `ends` bound the audible part, in samples from the clip's own start.
    """

    samples: Tensor
    offsets: Tensor
    lengths: Tensor
    begins: Tensor
    ends: Tensor
    labels: Tensor
    stretch: Tensor

    def cut(self, which: Tensor, starts: Tensor, speeds: Tensor) -> Tensor:
        """Return one window of WINDOW samples from each clip, played at `speeds`, with zeros outside of the clip."""
        steps = torch.arange(WINDOW, device=self.samples.device)
        at = starts[:, None] + speeds[:, None] * steps
        left = at.floor()
        between = at - left
        length = self.lengths[which, None]
        inside = (left >= 0) & (left < length - 1)
        index = self.offsets[which, None] + torch.where(inside, left, 0).long()
        low, high = self.samples[index].float(), self.samples[index + 1].float()
        return torch.where(inside, torch.lerp(low, high, between), 0) / 32768


def pack(sounds: Iterable[Samples]) -> tuple[Tensor, Tensor, Tensor, list[tuple[int, int]]]:
    """Return samples, offsets, lengths and audible spans of clips laid end to end."""
    parts, spans = [], []
    for sound in sounds:
        parts.append(np.clip(sound * 32768, -32768, 32767).astype(np.int16))
        spans.append(active_span(sound))
    lengths = torch.tensor([len(part) for part in parts])
    offsets = lengths.cumsum(0) - lengths
    return (
        torch.from_numpy(np.concatenate([*parts, np.zeros(1, np.int16)])),
        offsets,
        lengths,
        spans,
    )


def sound_of(clip: Clip) -> Samples:
    """Return the clip's sound, which is silence if it is a hush."""
    if clip.kind == "hush":
        return np.zeros(RATE, np.float32)
    return load_again(clip.path)[slice(*clip.part)] if clip.part else load(clip.path)


load_again = lru_cache(maxsize=1)(load)  # the parts of a file follow each other


def fill(clips: Sequence[Clip]) -> Bank:
    """Read the clips from disk: about 2 ms each."""
    samples, offsets, lengths, spans = pack(sound_of(clip) for clip in clips)
    spans = [(0, int(n)) if c.kind == "phrase" else span for c, n, span in zip(clips, lengths, spans, strict=True)]
    return Bank(
        samples=samples,
        offsets=offsets,
        lengths=lengths,
        begins=torch.tensor([begin for begin, _ in spans]),
        ends=torch.tensor([end for _, end in spans]),
        labels=torch.tensor([LABELS.index(clip.label) for clip in clips]),
        stretch=torch.tensor([clip.kind in ("stretch", "phrase") for clip in clips]),
    )
